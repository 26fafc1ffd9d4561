"""What is fetched to a place outside the folder is served from there; nothing there is replaced."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.protocol.control import FetchOrder
from shoal.protocol.errors import OperatorError

from tests.unit.node.company import Company, Member, refused
from tests.unit.node.sample_trees import TREE, seen


@pytest.fixture(params=["on the same file system", "on another one"])
def elsewhere(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    shm = Path("/dev/shm")  # noqa: S108 (a directory of our own in it)
    is_there = request.param == "on another one" and shm.is_dir()
    with tempfile.TemporaryDirectory(dir=shm if is_there else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("what", ["f", "tree"])
def test_it_is_a_link_to_where_it_is(
    company: Company, keeper: Member, elsewhere: Path, what: str
) -> None:
    target = elsewhere / "put here"
    with company.visiting("asks") as asker:
        done = asker.fetch(what, output=str(target), linked=True)
        assert (done.path, done.holders) == (str(target), {"n1": done.fetched_bytes})
        assert [path.name for path in elsewhere.iterdir()] == [target.name]
        assert (company.place("asks") / what).readlink() == target
        assert company.holders(what) == {"n1": True, "asks": True}
        again = asker.fetch(what, output=str(target), linked=True)
        assert (again.path, again.fetched_bytes) == (str(target), 0)
        known = asker.agent.inventory.whole(what)
        assert known is not None
        asker.agent._watcher.look_through()
        assert asker.agent.inventory.whole(what) is known  # It was not hashed.
    keeper.forget(what, delete=True)
    with company.visiting("asks") as asker:  # Once more.
        assert keeper.fetch(what).holders.keys() == {"asks"}
        asker.forget(what, delete=True)
    assert target.is_dir() if what == "tree" else target.read_bytes() == b"content"
    assert not (company.place("asks") / what).is_symlink()


def test_an_interrupted_fetch_goes_on_where_it_was(
    company: Company, keeper: Member, elsewhere: Path
) -> None:
    target, asker = elsewhere / "put here", company.join("asks")
    order = FetchOrder("tree", str(target), linked=True)
    for _ in range(100):
        try:
            asker.agent.carry_out(order, lambda _: target.touch())
        except OperatorError as error:
            assert "already exists" in str(error)  # noqa: PT017 (it may be too quick for that)
            break
        asker.forget("tree", delete=True)
        shutil.rmtree(target)
    else:
        pytest.fail("nothing came in its way")
    assert [path.name for path in company.place("asks").iterdir()] == [".shoal"]
    target.unlink()
    done = asker.fetch("tree", output=str(target), linked=True)
    assert done.fetched_bytes == 0
    assert seen(target) == TREE


def test_what_is_there_stays(company: Company, keeper: Member, tmp_path: Path) -> None:
    asker, target = company.join("asks"), tmp_path / "target"
    target.write_bytes(b"mine")

    def error(what: str, **options: object) -> str:
        options = {"output": str(target), **options}
        return str(refused(asker.fetch, what, linked=True, **options))

    assert "already exists; choose another path, or pass --force" in error("f")
    assert "a directory never replaces a file" in error("tree", force=True)
    assert "must be whole" in error("tree/a")
    assert "is in the node's folder" in error("f", output=str(company.place("asks") / "g"))
    assert target.read_bytes() == b"mine"
    assert [path.name for path in company.place("asks").iterdir()] == [".shoal"]
    asker.fetch("f", output=str(target), linked=True, force=True)
    assert target.read_bytes() == b"content"
    assert "already has f, a link to" in error("f", output=str(tmp_path / "second"))
    asker.fetch("tree")
    assert "already has tree; move it away" in error("tree", output=str(tmp_path / "second"))
    target.unlink()  # The link leads nowhere now.
    asker.agent._watcher.look_at("f")
    asker.fetch("f", output=str(tmp_path / "second"), linked=True)
    assert (company.place("asks") / "f").resolve() == tmp_path / "second"

"""What of a path is shared, and under which name."""

from pathlib import Path

import pytest
from shoal.commands import share
from shoal.commands.progress import ProgressView
from shoal.commands.share import ShareOptions
from shoal.config.cluster import NodeEntry
from shoal.node.trees.left_out import LEADS_OUT
from shoal.protocol.control import Omission
from shoal.protocol.errors import DiskError, OperatorError

from tests.unit.node.sample_trees import TREE, file, link, make, seen

SOME = ShareOptions(include=("a", "d"), exclude=("*.sh",))


@pytest.fixture
def entry(tmp_path: Path) -> NodeEntry:
    folder = tmp_path / "n1"
    (folder / ".shoal").mkdir(parents=True)
    return NodeEntry("n1", "tcp://127.0.0.1:11001", folder)


def put_there(path: Path, entry: NodeEntry, options: ShareOptions | None = None) -> str:
    with ProgressView(quiet=True) as view:
        return share._put_there(path, entry, options or ShareOptions(), view)[0]


def refused(path: Path, entry: NodeEntry) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        put_there(path, entry)
    assert not [*(entry.folder / ".shoal").iterdir()]
    return caught.value


def test_what_lies_elsewhere_is_copied_in(tmp_path: Path, entry: NodeEntry) -> None:
    (tmp_path / "f").write_bytes(b"new")
    (tmp_path / "l").symlink_to("f")
    assert [put_there(tmp_path / name, entry) for name in ("f", "l")] == ["f", "l"]
    assert put_there(make(tmp_path / "tree", TREE), entry) == "tree"
    assert seen(entry.folder / "tree") == TREE
    assert (entry.folder / "f").read_bytes() == (entry.folder / "l").read_bytes() == b"new"
    assert not (entry.folder / "l").is_symlink()
    assert (tmp_path / "f").exists()


def test_what_lies_there_is_left_there(tmp_path: Path, entry: NodeEntry) -> None:
    make(entry.folder / "tree", TREE)
    (tmp_path / "way").symlink_to(entry.folder)
    for path in (entry.folder / "tree", tmp_path / "way" / "tree"):
        assert put_there(path, entry) == "tree"


def test_a_part_of_a_directory_is_copied(tmp_path: Path, entry: NodeEntry) -> None:
    put_there(make(tmp_path / "tree", TREE), entry, SOME)
    assert sorted(seen(entry.folder / "tree")) == ["a/empty", "a/up", "d/e/f/data"]
    assert put_there(tmp_path / "tree", entry, SOME) == "tree"  # It has the same in it.


def test_what_is_not_copied_is_told(tmp_path: Path, entry: NodeEntry) -> None:
    path = make(tmp_path / "tree", {**TREE, "away": link("../../etc"), "in": link("b.txt")})
    for _ in range(2):  # The second time it is there already.
        with ProgressView(quiet=True) as view:
            name, left_out = share._put_there(path, entry, ShareOptions(), view)
        assert (name, left_out.named) == ("tree", [("away", LEADS_OUT)])
    assert "away" not in seen(entry.folder / "tree")
    assert "in" in seen(entry.folder / "tree")


def test_of_much_that_is_left_out_some_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    share._warn("t", [Omission(f"l{number}\n", LEADS_OUT) for number in range(100)], 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == rf"warning: t/l0\n is not shared: {LEADS_OUT}"
    assert lines[20:] == [
        "warning: and 980 more in t are not shared",
        "run it again with --follow-links to share what such links lead to",
    ]
    share._warn("t", (), 0)
    assert capsys.readouterr().err == ""


def test_another_of_that_name_is_not_replaced(tmp_path: Path, entry: NodeEntry) -> None:
    make(entry.folder / "tree", TREE)
    new = make(tmp_path / "tree", {"b.txt": file(b"new")})
    assert "already has a different tree" in str(refused(new, entry))
    assert "--force publishes this as the next version in its place" in str(refused(new, entry))
    assert put_there(new, entry, ShareOptions(force=True)) == "tree"
    assert seen(entry.folder / "tree") == {"b.txt": file(b"new")}


def test_parts_of_a_directory_and_the_folder_itself_are_refused(
    tmp_path: Path, entry: NodeEntry
) -> None:
    make(entry.folder / "tree", TREE)
    part = str(refused(entry.folder / "tree" / "a", entry))
    assert f"tree/a lies in tree, which is shared as a whole; share {entry.folder}/tree" in part
    assert "is the node's folder" in str(refused(entry.folder, entry))
    for above in (tmp_path, Path("/")):
        assert "has the node's folder in it" in str(refused(above, entry))


@pytest.mark.parametrize("name", ["a\nb", ".shoal", "C:x", "a\\b"])
def test_what_cannot_be_a_name_is_refused(tmp_path: Path, entry: NodeEntry, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    assert "cannot be shared: its name" in str(refused(path, entry))


def test_a_quota_counts_what_is_selected(tmp_path: Path, entry: NodeEntry) -> None:
    small = NodeEntry("n1", entry.address, entry.folder, None, 90)
    make(tmp_path / "tree", TREE)  # Some 190 bytes, of which 70 are selected.
    error = refused(tmp_path / "tree", small)
    assert isinstance(error, DiskError)
    assert "is more than the quota of n1 leaves" in str(error)
    assert put_there(tmp_path / "tree", small, SOME) == "tree"
    (tmp_path / "link").symlink_to("tree/b.txt")  # 100 bytes.
    assert isinstance(refused(tmp_path / "link", small), DiskError)

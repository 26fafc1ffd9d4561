"""What lies where something is to be fetched, and may not be lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.fetching.versions import Meant
from shoal.node.folder.rules import FORGOTTEN, PART, REPLACING, Rule
from shoal.node.orders import standing
from shoal.node.orders.standing import Standing
from shoal.node.trees.selection import EVERYTHING
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import MAX_SIZE_BYTES

from tests.unit.node.company import Company, Member, growing, refused
from tests.unit.node.sample_trees import TREE, file, seen
from tests.unit.wire.places import eventually

SHARED = {**TREE, "b.txt": file(b"older")}
OLDER = {**SHARED, "log.tmp": file(b"not shared")}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """The node `has` holds a tree and a file; `older` holds what they were before."""
    with Company(tmp_path) as company:
        company.put("older", "tree", SHARED)
        company.put("older", "f", b"older")
        company.join("older")
        has = company.publish("has", "tree", TREE)
        company.put("has", "f", b"newer")
        has.share("f", force=True)
        yield company


def test_nothing_stands_in_the_way_of_nothing() -> None:
    assert not Standing().may_go
    assert Standing(withheld=REPLACING).may_go
    assert not Standing(withheld=PART).may_go


def test_what_others_have_is_replaced(company: Company, asker: Member) -> None:
    company.put("asks", "f", b"older")
    company.put("asks", "tree", SHARED)
    asker.fetch("f")
    assert (company.place("asks") / "f").read_bytes() == b"newer"
    asker.fetch("tree")
    assert seen(company.place("asks") / "tree") == TREE


def test_our_own_announcement_is_nobody_elses(company: Company, asker: Member) -> None:
    asker.fetch("f")
    company.put("asks", "f", b"mine")
    assert "that no other node holds; move it" in str(
        refused(asker.fetch, "f")
    )  # Withheld as it is.
    asker.share("f", force=True)
    company.put("has", "f", b"newest")
    assert company.answer("f").version == 3  # type: ignore[union-attr]
    assert asker.fetch("f").reused_bytes == len(b"mine")  # It is the newest.
    assert (company.place("asks") / "f").read_bytes() == b"mine"


def test_what_a_node_published_itself_is_not_replaced_by_others(
    company: Company, asker: Member
) -> None:
    company.put("asks", "g", b"mine")
    asker.share("g")
    with company.visiting("copies") as copies:
        copies.fetch("g")
        company.publish("has2", "g", b"theirs")
        assert "that this node published itself" in str(refused(asker.fetch, "g"))
        assert (company.place("asks") / "g").read_bytes() == b"mine"
    asker.fetch("g", force=True)
    assert (company.place("asks") / "g").read_bytes() == b"theirs"
    company.put("has2", "g", b"theirs too")
    eventually(lambda: asker.fetch("g").version == 3)  # A copy since then, as any.


def test_what_is_left_out_of_a_shared_directory_is_not_lost(
    company: Company, asker: Member
) -> None:
    company.put("asks", "tree", OLDER)
    asker.share("tree", exclude=("*.tmp",))
    error = str(refused(asker.fetch, "tree"))
    assert "already has a different tree" in error
    assert "and log.tmp in it is not shared; move it, or pass --force" in error
    assert seen(company.place("asks") / "tree") == OLDER
    asker.fetch("tree", force=True)
    assert seen(company.place("asks") / "tree") == TREE


def test_what_cannot_be_read_is_not_lost(company: Company, asker: Member) -> None:
    path = company.place("asks") / "f"
    with path.open("wb") as file:
        file.truncate(MAX_SIZE_BYTES + 1)  # Too large to be shared.
    assert "which cannot be read, or keeps changing; move it" in str(refused(asker.fetch, "f"))
    asker.fetch("f", force=True)
    assert path.read_bytes() == b"newer"


def test_what_keeps_changing_is_not_lost(company: Company, asker: Member) -> None:
    with growing(company.place("asks") / "f"):
        assert "already has f, which cannot be read" in str(refused(asker.fetch, "f"))


def test_what_was_to_be_forgotten_is_shared_again_when_it_is_asked_for(
    company: Company, asker: Member
) -> None:
    asker.fetch("tree")
    asker.forget("tree")
    assert company.holders("tree") == {"has": True}
    assert asker.fetch("tree").fetched_bytes == 0
    assert company.holders("tree") == {"asks": True, "has": True}


def test_another_that_was_to_be_forgotten_is_not_lost(company: Company, asker: Member) -> None:
    company.put("asks", "f", b"mine")
    with pytest.raises(OperatorError, match="not what was published under that name"):
        asker.share("f")
    asker.forget("f")
    assert "that no other node holds" in str(refused(asker.fetch, "f"))
    assert (company.place("asks") / "f").read_bytes() == b"mine"
    assert asker.agent._rules.of("f") == Rule(FORGOTTEN)


def test_what_is_here_is_found_though_the_tracker_knows_nothing(
    company: Company, asker: Member
) -> None:
    company.put("asks", "g", b"mine")
    home = asker.agent._fetches._home
    asker.share("g")
    looking = standing.Looking(lambda _: False)
    assert standing.look(home, Meant("g"), EVERYTHING, looking).is_meant
    assert standing.look(home, Meant("nothing"), EVERYTHING, looking) == Standing()


def test_what_is_held_is_found_by_name_id_and_both(company: Company, asker: Member) -> None:
    home = asker.agent._fetches._home
    company.put("asks", "g", b"new")  # The watcher may not have seen it yet.
    thing = standing.held(home, "g")
    assert standing.held(home, thing.id).name == "g"
    assert standing.held(home, f"g@{thing.id[3:9]}").name == "g"
    with pytest.raises(OperatorError, match="asks has no nothing; `shoal ls`") as missing:
        standing.held(home, "nothing")
    assert isinstance(missing.value, NotFoundError)

"""Orders to share, to forget and to delete."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.folder.rules import DAMAGED, FETCHING, NO_RULE, PART, Rule
from shoal.node.orders.upkeep import _as_seen
from shoal.node.trees.left_out import LEADS_OUT
from shoal.protocol.control import Omission
from shoal.protocol.errors import DiskError, NotFoundError, OperatorError
from shoal.protocol.messages import Holders

from tests.unit.node.company import Company, Member, growing
from tests.unit.node.disks import fill_up
from tests.unit.node.sample_trees import TREE, file, link, seen
from tests.unit.node.things import id_of, plain
from tests.unit.wire.places import eventually


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    with Company(tmp_path) as company:
        yield company


@pytest.fixture
def keeper(company: Company) -> Member:
    """A node with a file and a tree."""
    company.put("n1", "f", b"content")
    company.put("n1", "tree", TREE)
    return company.join("n1")


def refused(call: object, *arguments: object, **options: object) -> OperatorError:
    assert callable(call)
    with pytest.raises(OperatorError) as caught:
        call(*arguments, **options)
    return caught.value


# Share.


def test_what_was_put_there_is_announced_at_once(company: Company, keeper: Member) -> None:
    company.put("n1", "new", b"new")
    shared = keeper.share("new")
    assert (shared.name, shared.id, shared.size_bytes) == ("new", id_of(plain(b"new")), 3)
    assert shared.announced
    assert company.holders("new") == {"n1": True}


def test_a_part_of_a_directory_may_be_shared(company: Company, keeper: Member) -> None:
    whole = keeper.share("tree")
    part = keeper.share("tree", include=("a", "d"), exclude=("*.sh",))
    assert part.id != whole.id
    with company.visiting("n2") as other:
        other.fetch("tree")
    assert sorted(seen(company.place("n2") / "tree")) == ["a/empty", "a/up", "d/e/f/data"]
    assert keeper.share("tree").id == whole.id


def test_how_it_is_shared_outlives_the_process(company: Company) -> None:
    company.put("n1", "tree", TREE)
    with company.visiting("n1") as first:
        content_id = first.share("tree", exclude=("a",)).id
    with company.visiting("n1") as second:
        (thing,) = second.agent.inventory.wholes()
        assert thing.id == content_id
        assert second.agent._rules.of("tree") == Rule(exclude=("a",))


def test_the_cut_can_be_changed_and_stays(company: Company, keeper: Member) -> None:
    company.put("n1", "large", bytes(range(256)) * 4000)
    fixed = keeper.share("large").id
    by_content = keeper.share("large", chunking="content").id
    assert fixed != by_content
    assert keeper.share("large").id == by_content
    assert keeper.share("large", chunking="fixed").id == fixed


@pytest.mark.parametrize("name", ["nothing", "tree/b.txt", "../f", ".shoal"])
def test_what_is_not_there_is_not_shared(company: Company, keeper: Member, name: str) -> None:
    error = refused(keeper.share, name, include=("x",))
    assert isinstance(error, DiskError)
    assert "is not in" in str(error)
    assert keeper.agent._rules.of(name) == NO_RULE


def test_what_keeps_changing_is_not_shared(company: Company, keeper: Member) -> None:
    path = company.put("n1", "growing", b"")
    keeper.share("growing")
    with growing(path):
        assert "or keeps changing" in str(refused(keeper.share, "growing"))


def test_says_why_it_cannot_be_shared(company: Company, keeper: Member) -> None:
    (company.place("n1") / "away").symlink_to("/usr")
    error = str(refused(keeper.share, "away"))
    assert "cannot share away in" in error
    assert "a link to a directory, which needs --follow-links; change that" in error
    assert "its name has a control character in it" in str(refused(keeper.share, "a\nb"))


def test_what_is_left_out_is_told_with_what_is_shared(company: Company, keeper: Member) -> None:
    company.put("n1", "l", {"in": link("x"), "out": link("/etc/hostname"), "x": file(b"x")})
    shared = keeper.share("l")
    assert (shared.left_out, shared.left_out_count) == ((Omission("out", LEADS_OUT),), 1)
    assert keeper.share("l", exclude=("out",)).left_out_count == 0
    assert keeper.share("f").left_out_count == 0


def test_links_are_followed_from_then_on_and_over_starts(company: Company) -> None:
    out = company.place("n1").with_name("blob")
    out.write_bytes(b"1")
    company.put("n1", "l", {"out": link(str(out))})
    with company.visiting("n1") as first:
        first.share("l", follow_links=True)
    out.write_bytes(b"22")
    with company.visiting("n1") as second:
        (thing,) = second.agent.inventory.wholes()
        assert thing.size_bytes == 2
        with company.visiting("n2") as other:
            other.fetch("l")
        assert seen(company.place("n2") / "l") == {"out": file(b"22")}
        second.forget("l", delete=True)
    assert not (company.place("n1") / "l").exists()
    assert out.read_bytes() == b"22"  # Of a link nothing but itself goes.


def test_what_was_respelled_can_be_deleted(company: Company, keeper: Member) -> None:
    company.put("n1", "l", {"a": link("./x"), "d/b": link("..//x"), "x": file(b"x")})
    keeper.share("l")
    assert keeper.forget("l", delete=True).deleted
    assert not (company.place("n1") / "l").exists()


# Forget.


@pytest.mark.parametrize("name", ["f", "tree"])
def test_what_is_forgotten_stays_where_it_is(company: Company, keeper: Member, name: str) -> None:
    forgotten = keeper.forget(name)
    assert (forgotten.name, forgotten.deleted) == (name, False)
    assert company.holders(name) == {}
    assert (company.place("n1") / name).exists()
    assert keeper.agent.inventory.whole(name) is None


def test_what_is_forgotten_stays_so_over_changes_and_starts(company: Company) -> None:
    company.put("n1", "f", b"content")
    with company.visiting("n1") as first:
        first.forget("f")
        company.put("n1", "f", b"changed")
        company.put("n1", "g", b"seen later than that")
        eventually(lambda: first.agent.inventory.names() == ["g"])
    with company.visiting("n1") as second:
        assert second.agent.inventory.names() == ["g"]
        second.share("f")
        assert company.holders("f") == {"n1": True}


@pytest.mark.parametrize("delete", [False, True])
def test_what_is_being_hashed_is_forgotten_at_once(
    company: Company, keeper: Member, *, delete: bool
) -> None:
    path = company.place("n1") / "huge"
    with path.open("wb") as file:
        file.truncate(400 << 30)
    eventually(lambda: keeper.agent._watcher.hashing("huge"))
    assert keeper.forget("huge", delete=delete).id is None
    eventually(lambda: keeper.agent._watcher.hashing("huge") is None)
    assert path.exists() is not delete


def test_a_full_disk_lets_things_be_deleted(small_disk: Path, tmp_path: Path) -> None:
    with Company(tmp_path) as company:
        (tmp_path / "n1").symlink_to(small_disk)
        company.put("n1", "f", bytes(range(256)) * 400)
        keeper = company.join("n1")
        other = fill_up(small_disk)
        error = refused(keeper.forget, "f")
        assert isinstance(error, DiskError)
        assert "f" in keeper.agent.inventory.names()
        assert keeper.forget("f", delete=True).deleted
        assert not (small_disk / "f").exists()
        company.put("n1", "f", b"new")
        assert keeper.share("f", force=True).announced
        other.unlink()


def test_it_may_be_forgotten_twice(company: Company, keeper: Member) -> None:
    assert keeper.forget("f").id is not None
    assert keeper.forget("f").id is None
    assert (company.place("n1") / "f").exists()


@pytest.mark.parametrize("name", ["f", "tree"])
def test_what_is_deleted_is_gone(company: Company, keeper: Member, name: str) -> None:
    assert keeper.forget(name, delete=True).deleted
    assert company.holders(name) == {}
    assert not (company.place("n1") / name).exists()
    assert not [*(company.place("n1") / ".shoal").glob("deleted-*")]
    company.put("n1", name, b"of the same name")
    eventually(lambda: company.holders(name) == {"n1": True})


def test_it_may_be_meant_by_id_or_version(company: Company, keeper: Member) -> None:
    content_id = keeper.share("f").id
    assert keeper.forget(content_id).name == "f"
    keeper.share("f")
    assert keeper.forget(f"f@{content_id[3:9]}", delete=True).name == "f"
    assert not (company.place("n1") / "f").exists()


@pytest.mark.parametrize("why", [PART, FETCHING, DAMAGED])
def test_what_is_withheld_can_be_deleted(company: Company, keeper: Member, why: str) -> None:
    keeper.agent._rules.set("tree", Rule(why, exclude=("x",)))
    forgotten = keeper.forget("tree", delete=True)
    assert (forgotten.id, forgotten.deleted) == (None, True)
    assert not (company.place("n1") / "tree").exists()
    assert keeper.agent._rules.of("tree") == NO_RULE


def test_what_was_forgotten_can_be_deleted(company: Company, keeper: Member) -> None:
    keeper.forget("tree")
    keeper.forget("tree", delete=True)
    assert not (company.place("n1") / "tree").exists()


def test_what_is_not_held_cannot_be_forgotten(company: Company, keeper: Member) -> None:
    keeper.agent._rules.set("gone", Rule(PART))
    for what in ("nothing", "gone", "tree/a", "tree@0000", "b3:" + 64 * "0"):
        error = refused(keeper.forget, what, delete=True)
        assert isinstance(error, NotFoundError)
        assert f"n1 holds no {what}; `shoal ls` shows who holds what" in str(error)
    assert seen(company.place("n1") / "tree") == TREE


def test_a_link_is_deleted_and_not_what_it_leads_to(company: Company, keeper: Member) -> None:
    target = company.folder / "target"
    target.write_bytes(b"not ours")
    (company.place("n1") / "link").symlink_to(target)
    keeper.share("link")
    keeper.forget("link", delete=True)
    assert not (company.place("n1") / "link").is_symlink()
    assert target.read_bytes() == b"not ours"


def test_others_keep_what_one_forgets(company: Company, keeper: Member) -> None:
    company.put("n2", "f", b"content")
    other = company.join("n2")
    keeper.forget("f", delete=True)
    assert company.holders("f") == {"n2": True}
    answer = company.answer("f")
    assert isinstance(answer, Holders)
    assert keeper.fetch("f").fetched_bytes == len(b"content")
    assert other.verify("f").things[0].damaged == 0


def test_a_changed_tree_is_a_new_version(company: Company, keeper: Member) -> None:
    company.join("n2").fetch("tree")
    (company.place("n1") / "tree" / "b.txt").write_bytes(b"changed")
    new = keeper.share("tree")
    assert company.holders("tree") == {"n1": True}
    answer = company.answer("tree")
    assert answer is not None
    assert answer.id == new.id
    assert [version.holders for version in answer.versions] == [1]
    with company.visiting("n3") as third:
        third.fetch(answer.versions[0].id)
        assert seen(company.place("n3") / "tree") == TREE
        third.fetch("tree")
        assert seen(company.place("n3") / "tree") == {**TREE, "b.txt": file(b"changed")}


@pytest.mark.parametrize("name", ["f", "tree"])
def test_what_changed_since_it_was_meant_is_not_deleted(
    company: Company, keeper: Member, name: str
) -> None:
    """By id above all: it is not what was asked for. The files that are not shared go with it."""
    place = company.place("n1") / name
    thing = keeper.agent.inventory.whole(name)
    assert thing is not None
    may_go = _as_seen(thing, place)
    file_in_it = place / "b.txt" if name == "tree" else place
    file_in_it.write_bytes(b"edited just now")
    error = refused(keeper.agent._upkeep._delete, name, may_go)
    assert f"{name} in {place.parent} has just changed, so it was not deleted" in str(error)
    assert file_in_it.read_bytes() == b"edited just now"
    assert not [*(company.place("n1") / ".shoal").glob("deleted-*")]


def test_what_is_not_shared_of_a_directory_is_deleted_with_it(
    company: Company, keeper: Member
) -> None:
    place = company.place("n1") / "tree"
    os.mkfifo(place / "fifo")
    (place / "out").symlink_to("/etc/passwd")
    keeper.share("tree", exclude=("b.txt",))
    keeper.forget("tree", delete=True)
    assert not place.exists()

"""Orders to share."""

import pytest
from shoal.node.folder.rules import NO_RULE, Rule
from shoal.node.trees.left_out import LEADS_OUT
from shoal.protocol.control import Omission
from shoal.protocol.errors import DiskError

from tests.unit.node.company import Company, Member, growing, refused
from tests.unit.node.sample_trees import TREE, file, link, seen
from tests.unit.node.things import id_of, plain


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
    assert "a link to a directory, which needs --link; fix that" in error
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

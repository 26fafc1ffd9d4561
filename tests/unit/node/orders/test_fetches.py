"""Orders to fetch, carried out by whole nodes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from shoal.node.folder.rules import PART, Rule, Rules
from shoal.protocol.errors import (
    DiskError,
    IntegrityError,
    NotFoundError,
    OperatorError,
    StoppedError,
)

from tests.unit.node.company import Company, Member, refused
from tests.unit.node.disks import rot
from tests.unit.node.sample_trees import FOLDER, TREE, Items, file, link, seen
from tests.unit.wire.places import LIMIT_S, eventually

FILE = Random(1).randbytes(10240)
LATER = {**TREE, "b.txt": file(b"changed"), "new": file(b"new")}


@pytest.fixture
def company(tmp_path: Path) -> Iterator[Company]:
    """The node `has` holds a file and a tree."""
    with Company(tmp_path) as company:
        company.put("has", "f.bin", FILE)
        company.put("has", "tree", TREE)
        company.join("has")
        yield company


def test_a_file_and_a_tree_arrive_and_are_held(company: Company, asker: Member) -> None:
    assert asker.fetch("f.bin").fetched_bytes == len(FILE)
    done = asker.fetch("tree")
    assert (company.place("asks") / "f.bin").read_bytes() == FILE
    assert seen(company.place("asks") / "tree") == TREE
    assert done.path == str(company.place("asks") / "tree")
    for thing in ("f.bin", "tree"):
        assert company.holders(thing) == {"has": True, "asks": True}


def test_what_is_here_is_not_fetched_again(asker: Member) -> None:
    first = asker.fetch("tree")
    again = asker.fetch("tree")
    assert (again.id, again.path, again.fetched_bytes) == (first.id, first.path, 0)
    assert again.reused_bytes == again.size_bytes
    inside = asker.fetch("tree/a/run.sh")
    assert (inside.path, inside.fetched_bytes) == (f"{first.path}/a/run.sh", 0)
    missing = refused(asker.fetch, "tree/a/nothing")
    assert isinstance(missing, NotFoundError)
    assert "no such file was found: tree/a/nothing; see what is in" in str(missing)


def test_an_id_and_a_version_can_be_asked_for(company: Company, asker: Member) -> None:
    content_id = asker.fetch("tree").id
    with company.visiting("third") as third:
        assert third.fetch(content_id).name == "tree"
        assert third.fetch(f"tree@{content_id[3:9]}").fetched_bytes == 0
    with company.visiting("fourth") as fourth:
        assert fourth.fetch(f"tree@{content_id[3:9]}").name == "tree"
    assert seen(company.place("third") / "tree") == seen(company.place("fourth") / "tree") == TREE


def test_a_version_lands_under_the_name_it_was_asked_for_by(
    company: Company, asker: Member
) -> None:
    company.put("has2", "other name", FILE)
    company.join("has2")
    content_id = asker.fetch("other name").id
    assert (company.place("asks") / "other name").read_bytes() == FILE
    with company.visiting("third") as third:
        assert third.fetch(f"other name@{content_id[3:11]}").name == "other name"
        assert third.fetch(f"f.bin@{content_id[3:11]}").name == "f.bin"


@pytest.mark.parametrize("others_have_it", [True, False])
def test_a_newer_version_is_replaced_by_an_older_one_if_others_have_it(
    company: Company, asker: Member, *, others_have_it: bool
) -> None:
    old = asker.fetch("tree")
    with company.visiting("later") as later:
        company.put("later", "tree", LATER)
        later.share("tree", force=True)
        new = asker.fetch("tree")  # Nobody else need have what an older copy was.
        assert (new.version, new.publisher) == (2, "later")
        assert seen(company.place("asks") / "tree") == LATER
        if others_have_it:
            done = asker.fetch(f"tree@{old.id}")
            assert (done.id, done.version, done.publisher) == (old.id, 1, "has")
            assert seen(company.place("asks") / "tree") == TREE
            return
    error = refused(asker.fetch, f"tree@{old.id}")
    assert "already has a different tree" in str(error)
    assert "that no other node holds; move it, or pass --force" in str(error)
    assert seen(company.place("asks") / "tree") == LATER
    asker.fetch(f"tree@{old.id}", force=True)
    assert seen(company.place("asks") / "tree") == TREE


def test_what_an_id_means_replaces_nothing(company: Company, asker: Member) -> None:
    content_id = asker.fetch("f.bin").id
    asker.forget("f.bin", delete=True)
    company.put("asks", "f.bin", b"mine")
    error = refused(asker.fetch, content_id)
    assert "that an id alone does not replace" in str(error)
    assert (company.place("asks") / "f.bin").read_bytes() == b"mine"
    assert asker.fetch(content_id, force=True).name == "f.bin"
    assert (company.place("asks") / "f.bin").read_bytes() == FILE


def test_part_of_a_tree_arrives_and_is_not_held(company: Company, asker: Member) -> None:
    done = asker.fetch("tree/a")
    assert (done.name, done.path) == ("tree", str(company.place("asks") / "tree" / "a"))
    parts = {path: item for path, item in TREE.items() if path.startswith("a/")}
    parts["b.txt"] = TREE["b.txt"]  # A link in it leads there.
    assert seen(company.place("asks") / "tree") == parts
    assert company.holders("tree") == {"has": True}
    assert asker.fetch("tree/a").fetched_bytes < done.fetched_bytes  # Its listing alone.
    asker.fetch("tree", include=("none",))
    assert seen(company.place("asks") / "tree") == parts | {"c/none": TREE["c/none"]}


def test_a_part_for_elsewhere_is_complete_or_refused(company: Company, asker: Member) -> None:
    out = company.place("asks").parent / "out"
    with pytest.raises(OperatorError, match=r"tree/a/up leads to tree/b\.txt, which is not in"):
        asker.fetch("tree/a", output=str(out))
    assert not out.exists()
    asker.fetch("tree/a", output=str(out), exclude=("up",))
    assert sorted(seen(out)) == ["empty", "run.sh"]
    asker.fetch("tree/a/up", output=str(out.with_name("file")))
    assert out.with_name("file").read_bytes() == TREE["b.txt"][1]
    with pytest.raises(OperatorError, match="which --exclude leaves out; exclude the link too"):
        asker.fetch("tree", exclude=("b.txt",))


def test_patterns_choose_within_a_place(company: Company, asker: Member) -> None:
    asker.fetch("tree/a", include=("*.sh", "*.txt"))
    assert list(seen(company.place("asks") / "tree")) == ["a/run.sh"]
    asker.fetch("tree/c", exclude=("none",))
    assert list(seen(company.place("asks") / "tree")) == ["a/run.sh", "c/none at all"]


def test_the_rest_may_follow(company: Company, asker: Member) -> None:
    asker.fetch("tree/d")
    asker.fetch("tree")
    assert seen(company.place("asks") / "tree") == TREE
    assert company.holders("tree") == {"has": True, "asks": True}


def test_what_was_put_beside_a_part_is_not_lost(company: Company, asker: Member) -> None:
    asker.fetch("tree/d")
    mine = company.place("asks") / "tree" / "mine.txt"
    mine.write_bytes(b"mine")
    error = refused(asker.fetch, "tree")
    assert "already has a different tree/mine.txt" in str(error)
    assert mine.read_bytes() == b"mine"
    mine.rename(company.place("asks") / "mine.txt")
    assert asker.fetch("tree").fetched_bytes < 100  # What came before is there.
    assert seen(company.place("asks") / "tree") == TREE


@pytest.mark.parametrize("content", [b"mine", TREE["b.txt"][1][::-1]])
def test_what_was_changed_in_a_part_is_not_lost(
    company: Company, asker: Member, content: bytes
) -> None:
    asker.fetch("tree/b.txt")
    path = company.place("asks") / "tree" / "b.txt"
    path.write_bytes(content)
    assert "already has a different tree/b.txt" in str(refused(asker.fetch, "tree/b.txt"))
    assert path.read_bytes() == content
    asker.fetch("tree/b.txt", force=True)
    assert path.read_bytes() == TREE["b.txt"][1]


def test_a_part_does_not_mix_with_another_version(company: Company, asker: Member) -> None:
    company.put("asks", "tree", {"b.txt": file(b"mine")})
    error = refused(asker.fetch, "tree/b.txt")
    assert "a part of this one would get mixed with it: use --output" in str(error)
    target = company.folder / "out"
    asker.fetch("tree/b.txt", output=str(target))
    assert target.read_bytes() == TREE["b.txt"][1]


@pytest.mark.parametrize(
    ("what", "options", "words"),
    [
        ("tree/nothing", {}, "no such file was found: tree/nothing; `shoal fetch tree`"),
        ("tree", {"include": ("*.none",)}, "nothing in tree matches"),
        ("f.bin/x", {}, "no such file was found: f.bin/x; f.bin is a file"),
        ("nothing/x", {}, "no such file was found: nothing/x"),
        ("tree@00000000", {}, "no version whose id begins with 00000000"),
    ],
)
def test_what_is_not_there_is_not_found(
    company: Company, asker: Member, what: str, options: dict[str, object], words: str
) -> None:
    error = refused(asker.fetch, what, **options)
    assert isinstance(error, NotFoundError)
    assert words in str(error)
    assert [*company.place("asks").glob("[!.]*")] == []


def test_a_file_has_no_parts(asker: Member) -> None:
    error = refused(asker.fetch, "f.bin", include=("*",))
    assert type(error) is OperatorError
    assert "leave --include and --exclude out" in str(error)


def test_elsewhere_it_is_not_held(company: Company, asker: Member) -> None:
    target = company.folder / "elsewhere"
    done = asker.fetch("tree", output=str(target), exclude=("a",))
    assert done.path == str(target)
    assert seen(target) == {path: item for path, item in TREE.items() if path[0] != "a"}
    assert company.holders("tree") == {"has": True}


def test_elsewhere_nothing_is_replaced_without_force(company: Company, asker: Member) -> None:
    """The node looks itself, before it asks anybody: the order may be another process's."""
    target = company.folder / "mine"
    target.write_bytes(b"precious")
    for what in ("f.bin", "tree", "nothing"):
        error = refused(asker.fetch, what, output=str(target))
        assert type(error) is OperatorError
        assert "mine already exists; choose another path, or pass --force" in str(error)
    forced = refused(asker.fetch, "tree", output=str(target), force=True)
    assert "already exists, and a directory never replaces a file; choose" in str(forced)
    assert target.read_bytes() == b"precious"
    asker.fetch("f.bin", output=str(target), force=True)
    assert target.read_bytes() == FILE
    state = company.place("asks") / ".shoal"
    for name in ("cache.db", "new"):
        error = refused(asker.fetch, "f.bin", output=str(state / name), force=True)
        assert "is in a node's own .shoal folder" in str(error)


def test_what_is_edited_while_its_new_version_comes_is_not_lost(
    company: Company, asker: Member
) -> None:
    """It was looked at before; the edit comes when all chunks are there."""
    asker.fetch("tree")
    company.put("has", "tree", {"b2": file(b"of a new version")})
    eventually(lambda: asker_finds_another(company, asker))
    mine = company.place("asks") / "tree/b.txt"
    place = asker.agent._fetches._home.quota

    class Editing:
        """Edits as the quota is asked, which is after the look and before the end."""

        def require(self, name: str, size_bytes: int, **how: Any) -> None:
            mine.write_bytes(b"my only copy")
            place.require(name, size_bytes, **how)

    home = msgspec.structs.replace(asker.agent._fetches._home, quota=Editing())
    asker.agent._fetches._home = home
    error = refused(asker.fetch, "tree")
    assert "already has a different tree that appeared while it was fetched" in str(error)
    assert mine.read_bytes() == b"my only copy"


def asker_finds_another(company: Company, asker: Member) -> bool:
    answer, here = company.answer("tree"), asker.agent.inventory.whole("tree")
    return answer is not None and here is not None and answer.id != here.id


def test_files_appear_in_place(company: Company, asker: Member) -> None:
    asker.fetch("tree", in_place=True)
    assert seen(company.place("asks") / "tree") == TREE
    assert company.holders("tree") == {"has": True, "asks": True}


def test_another_version_appears_in_place(company: Company, asker: Member) -> None:
    asker.fetch("tree")
    company.publish("later", "tree", {**LATER, "l": link("new")})
    done = asker.fetch("tree", in_place=True)
    assert seen(company.place("asks") / "tree") == {**LATER, "l": link("new")}
    assert company.holders(done.id) == {"later": True, "asks": True}


KINDS: dict[str, Items] = {
    "file": {"a": file(b"1")},
    "tree": {"a/b": file(b"2"), "a/c/d": file(b"3")},
    "link": {"a": link("z"), "z": file(b"4")},
    "nothing": {"a": FOLDER},
}


@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("old", KINDS)
def test_anything_may_become_anything_else_in_place(
    company: Company, asker: Member, old: str, new: str
) -> None:
    company.put("n1", "t", KINDS[old])
    company.join("n1")
    asker.fetch("t")
    company.publish("n2", "t", KINDS[new])
    asker.fetch("t", in_place=True)
    assert seen(company.place("asks") / "t") == KINDS[new]
    assert company.holders(asker.fetch("t").id)["asks"]


def test_a_quota_counts_the_whole_and_the_part(company: Company) -> None:
    small = company.join("small", quota_bytes=100)
    for what in ("f.bin", "tree"):
        error = refused(small.fetch, what)
        assert isinstance(error, DiskError)
        assert "is more than the quota of small leaves" in str(error)
    small.fetch("tree/a/run.sh")
    company.put("small", "filler", b"x" * 80)
    assert isinstance(refused(small.fetch, "tree/d"), DiskError)
    small.fetch("f.bin", output=str(company.folder / "out"))


def test_a_fetch_that_begins_too_late_is_stopped(asker: Member) -> None:
    asker.agent.cancel_all(StoppedError)
    assert isinstance(refused(asker.fetch, "tree"), StoppedError)


def test_all_who_order_the_same_get_it(company: Company, asker: Member) -> None:
    ends: list[object] = []

    def fetch() -> None:
        try:
            ends.append(asker.fetch("tree"))
        except OperatorError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert len(ends) == 4
    assert not [end for end in ends if isinstance(end, str)]
    assert seen(company.place("asks") / "tree") == TREE


def test_a_part_stays_a_part_over_a_restart(company: Company) -> None:
    with company.visiting("asks") as first:
        first.fetch("tree/d")
    assert Rules(company.place("asks") / ".shoal").of("tree") == Rule(PART)
    with company.visiting("asks") as second:
        assert second.agent.inventory.names() == []


def test_who_could_not_fetch_it_is_not_listed(company: Company, asker: Member) -> None:
    rot(company.place("has") / "f.bin")
    assert isinstance(refused(asker.fetch, "f.bin"), IntegrityError)
    answer = company.answer("f.bin")
    named = (*answer.holders, *answer.offline) if answer is not None else ()
    assert "asks" not in {holder.node for holder in named}

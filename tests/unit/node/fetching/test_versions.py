"""What the operator typed, and what is meant."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from shoal.node.fetching import versions
from shoal.node.fetching.versions import LyingTrackerError, Meant
from shoal.protocol.errors import ExitCode, OperatorError
from shoal.protocol.manifest import is_id
from shoal.protocol.messages import Holders, OtherVersion
from shoal.protocol.titles import Title

NEW = "b3:" + "a1b2" + 60 * "0"
OLD = "b3:" + "a1c3" + 60 * "0"
OLDEST = "b3:" + "ffff" + 60 * "0"


def answer(name: str, content_id: str | None, *others: str) -> Holders:
    versions = tuple(OtherVersion(one, 1, 1, 1) for one in others)
    return Holders(name, content_id, 1 if content_id else None, (), (), versions)


class Tracker:
    """The versions of some names, the newest first, and what was asked of them."""

    def __init__(self, known: Mapping[str, Sequence[str]]) -> None:
        self.known = known
        self.asked: list[str] = []

    def ask(self, what: str, prefix: str = "") -> Holders | None:
        self.asked.append(f"{what} {prefix}".rstrip())
        if is_id(what):
            named = (name for name, ids in self.known.items() if what in ids)
            return next((answer(name, what) for name in named), None)
        ids = [one for one in self.known.get(what, ()) if one.startswith(f"b3:{prefix}")]
        return answer(what, *ids) if ids else None


KNOWN = {"a": (NEW, OLD, OLDEST), "tree": (NEW, OLD), "b@1234": (OLD,)}


def find(what: str) -> Meant:
    """Return what is meant, without the tracker's answer."""
    return msgspec.structs.replace(versions.find(what, Tracker(KNOWN).ask), answer=None)


def test_a_name_means_its_newest_version_and_an_id_that_content() -> None:
    assert find("a") == Meant(NEW, "a", NEW)
    assert find(OLD) == Meant(OLD, None, OLD, is_exact=True)
    assert find(OLDEST).name is None  # Whoever announced it may have called it anything.


@pytest.mark.parametrize("what", ["b@1234", "a", OLD])
def test_one_question_is_enough_for_what_is_known(what: str) -> None:
    tracker = Tracker(KNOWN)
    versions.find(what, tracker.ask)
    assert tracker.asked == [what]


def test_what_only_the_cluster_file_knows_has_no_version() -> None:
    hoped_for = answer("c", None)
    assert versions.find("c", lambda *_: hoped_for) == Meant("c", "c", None, hoped_for)


@pytest.mark.parametrize("prefix", ["a1c3", "b3:a1c3", "a1c30000", OLD, OLD[3:]])
def test_a_version_is_meant_by_the_beginning_of_its_id(prefix: str) -> None:
    assert find(f"a@{prefix}") == Meant(OLD, "a", OLD, is_exact=True)


def test_a_version_that_is_none_is_not_found() -> None:
    with pytest.raises(OperatorError, match="a has no version whose id begins with 0123") as none:
        find("a@0123")
    assert none.value.exit_code is ExitCode.NOT_FOUND


def test_a_version_must_be_the_only_one_that_begins_so() -> None:
    other = NEW[:-1] + "1"
    close = Tracker({"a": (NEW, OLD, other)})
    with pytest.raises(OperatorError, match="a has 2 versions that begin with a1b2") as several:
        versions.find("a@a1b2", close.ask)
    assert NEW in str(several.value)  # Which there are is said whole …
    assert other in str(several.value)
    assert versions.find(f"a@{other}", close.ask).id == other  # … and so one can be chosen.


@pytest.mark.parametrize(
    ("what", "lie"),
    [
        (NEW, answer("a", OLD)),
        (NEW, answer("a", None)),
        ("a", answer("b", NEW)),
        ("a@a1b2", answer("a", OLD)),
        ("a@a1b2", answer("b", NEW)),
        ("a@a1b2", answer("a", None)),
        ("a/x", answer("b", NEW)),
    ],
)
def test_an_answer_about_something_else_is_not_taken(what: str, lie: Holders) -> None:
    def ask(asked: str, prefix: str) -> Holders | None:
        return None if asked == what and not (is_id(what) or what == "a") else lie

    with pytest.raises(LyingTrackerError):
        versions.find(what, ask)


@pytest.mark.parametrize("what", ["a@a1", "a@A1B2", "a@a1b2 ", "@a1b2", "nobody@a1b2", "nothing"])
def test_what_names_no_version_is_taken_as_it_stands(what: str) -> None:
    assert find(what) == Meant(what, what)


def test_a_path_leads_into_a_tree() -> None:
    assert find("tree/x/y z.txt") == Meant(NEW, "tree", NEW, inside="x/y z.txt")


def test_a_path_leads_into_a_version_of_a_tree_too() -> None:
    assert find("tree@a1c3/x") == Meant(OLD, "tree", OLD, is_exact=True, inside="x")
    with pytest.raises(OperatorError, match="tree has no version"):
        find("tree@0123/x")


def test_what_looks_like_a_version_may_be_a_path() -> None:
    assert find("tree/x@a1b2") == Meant(NEW, "tree", NEW, inside="x@a1b2")


@pytest.mark.parametrize("what", ["nobody/x", "nobody@a1b2/x", "nothing/"])
def test_a_path_into_nothing_is_taken_as_it_stands(what: str) -> None:
    assert find(what) == Meant(what, what)


def test_the_title_is_the_answers() -> None:
    told = msgspec.structs.replace(answer("a", NEW), version=3, publisher="n1")
    assert versions.find("a", lambda *_: told).title == Title(NEW, 3, "n1")
    assert Meant("a", "a").title == Title("")


@pytest.mark.parametrize("what", [NEW, f"a@{NEW}", f"a@{NEW[3:]}"])
def test_a_whole_id_says_exactly_what_is_meant(what: str) -> None:
    assert versions.is_exactly(NEW, what, "a")
    assert not versions.is_exactly(OLD, what, "a")


@pytest.mark.parametrize("what", ["a", "a@a1b2", NEW[3:], f"b@{NEW}"])
def test_less_than_that_does_not(what: str) -> None:
    assert not versions.is_exactly(NEW, what, "a")


@pytest.mark.parametrize("what", ["a", NEW, "a@a1b2", f"a@{NEW}"])
def test_a_thing_is_meant_by_name_id_or_both(what: str) -> None:
    assert versions.matches(NEW, what, "a")


@pytest.mark.parametrize("what", ["b", OLD, "a@a1c3", "b@a1b2", "a@a1", "a/b"])
def test_another_thing_is_not_meant(what: str) -> None:
    assert not versions.matches(NEW, what, "a")


@pytest.mark.parametrize(
    ("what", "name", "is_whole"),
    [
        ("a.bin", None, False),
        ("a@b", None, False),
        ("a@beef", "a", False),
        ("a@b3:beef", "a", False),
        (f"a@{64 * 'e'}", "a", True),
        (f"a@b3:{64 * 'e'}", "a", True),
    ],
)
def test_a_version_that_is_named_says_of_what(
    what: str, name: str | None, *, is_whole: bool
) -> None:
    assert versions.named_in(what) == name
    assert versions.named_in(what, 64) == (name if is_whole else None)
    assert versions.names_content(what) is (name is not None)
    assert versions.names_content(f"b3:{64 * 'e'}")

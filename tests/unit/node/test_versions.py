"""What the operator typed, and what is meant."""

from collections.abc import Mapping

import pytest

from node import versions
from node.versions import Meant
from protocol.errors import ExitCode, OperatorError
from protocol.messages import Holders, OtherVersion

NEW = "b3:" + "a1b2" + 60 * "0"
OLD = "b3:" + "a1c3" + 60 * "0"
OLDEST = "b3:" + "ffff" + 60 * "0"
ALL = frozenset({NEW, OLD, OLDEST})


def answer(name: str, content_id: str | None, *others: str) -> Holders:
    versions = tuple(OtherVersion(one, 1, 1, 1) for one in others)
    return Holders(name, content_id, 1 if content_id else None, (), (), versions)


ABOUT_A = answer("a", NEW, OLD, OLDEST)
ABOUT_OLD = answer("another name of it", OLD)
TREE = answer("tree", NEW, OLD)
KNOWN = {"a": ABOUT_A, NEW: ABOUT_A, OLD: ABOUT_OLD, "tree": TREE, "b@1234": answer("b@1234", OLD)}


class Tracker:
    """What is known, and what was asked."""

    def __init__(self, known: Mapping[str, Holders]) -> None:
        self.known = known
        self.asked: list[str] = []

    def ask(self, what: str) -> Holders | None:
        self.asked.append(what)
        return self.known.get(what)


def find(what: str) -> Meant:
    return versions.find(what, Tracker(KNOWN).ask)


def test_a_name_means_its_newest_version_and_an_id_that_content() -> None:
    assert find("a") == Meant("a", answer=ABOUT_A, known=ALL)
    assert find(OLD) == Meant(OLD, answer=ABOUT_OLD, known=frozenset({OLD}))


def test_one_question_is_enough_for_what_is_known() -> None:
    tracker = Tracker(KNOWN)
    versions.find("b@1234", tracker.ask)
    assert tracker.asked == ["b@1234"]


def test_what_only_the_cluster_file_knows_has_no_version() -> None:
    hoped_for = answer("c", None)
    assert versions.find("c", {"c": hoped_for}.get) == Meant("c", answer=hoped_for)


@pytest.mark.parametrize("prefix", ["a1c3", "b3:a1c3", "a1c30000", OLD, OLD[3:]])
def test_a_version_is_meant_by_the_beginning_of_its_id(prefix: str) -> None:
    assert find(f"a@{prefix}") == Meant(OLD, "a", ABOUT_OLD, ALL)


def test_a_version_that_is_gone_meanwhile_has_no_answer() -> None:
    assert find("a@ffff") == Meant(OLDEST, "a", None, ALL)


def test_a_version_must_be_one() -> None:
    with pytest.raises(OperatorError, match=r"begins with 0123; `shoal where a`") as no:
        find("a@0123")
    assert no.value.exit_code is ExitCode.NOT_FOUND


def test_a_version_must_be_the_only_one() -> None:
    close = {"a": answer("a", NEW, NEW[:8] + 59 * "1", OLD)}
    with pytest.raises(OperatorError, match="a has 2 versions that begin with a1b2; give more"):
        versions.find("a@a1b2", close.get)


@pytest.mark.parametrize("what", ["a@a1", "a@A1B2", "a@a1b2 ", "@a1b2", "nobody@a1b2", "nothing"])
def test_what_names_no_version_is_taken_as_it_stands(what: str) -> None:
    assert find(what) == Meant(what)


def test_a_path_leads_into_a_tree() -> None:
    assert find("tree/x/y z.txt") == Meant("tree", None, TREE, frozenset({NEW, OLD}), "x/y z.txt")


def test_a_path_leads_into_a_version_of_a_tree_too() -> None:
    known = frozenset({NEW, OLD})
    assert find("tree@a1c3/x") == Meant(OLD, "tree", ABOUT_OLD, known, "x")
    with pytest.raises(OperatorError, match="tree has no version"):
        find("tree@0123/x")


def test_what_looks_like_a_version_may_be_a_path() -> None:
    assert find("tree/x@a1b2") == Meant("tree", None, TREE, frozenset({NEW, OLD}), "x@a1b2")


@pytest.mark.parametrize("what", ["nobody/x", "nobody@a1b2/x", "nothing/"])
def test_a_path_into_nothing_is_taken_as_it_stands(what: str) -> None:
    assert find(what) == Meant(what)


@pytest.mark.parametrize("what", ["a", NEW, "a@a1b2", f"a@{NEW}"])
def test_a_thing_is_meant_by_name_id_or_both(what: str) -> None:
    assert versions.matches(NEW, what, "a")


@pytest.mark.parametrize("what", ["b", OLD, "a@a1c3", "b@a1b2", "a@a1", "a/b"])
def test_another_thing_is_not_meant(what: str) -> None:
    assert not versions.matches(NEW, what, "a")

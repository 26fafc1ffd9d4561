"""What the operator typed, what is meant by it, and that a download sticks to that."""

from collections.abc import Mapping, Sequence

import msgspec
import pytest
from shoal.node.fetching import steps, versions
from shoal.node.fetching.download import Download
from shoal.node.fetching.versions import LyingTrackerError, Meant
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import is_id
from shoal.protocol.messages import Holders, OtherVersion
from shoal.protocol.titles import Title

from tests.unit.node.fetching.scene import DATA, ID, SETTINGS, Scene
from tests.unit.node.fetching.test_roster import TRACKER, holders
from tests.unit.node.things import rng

NEW = "b3:" + "a1b2" + 60 * "0"
OLD = "b3:" + "a1c3" + 60 * "0"
OLDEST = "b3:" + "ffff" + 60 * "0"
OTHER = "b3:" + 64 * "0"
LIE = "fail tracker"
MOVED = "fail nobody_alive"


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
    assert isinstance(none.value, NotFoundError)


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


# A download sticks to what was meant.


def test_an_id_is_never_taken_for_another() -> None:
    scene = Scene(ID)
    scene.wait()
    assert scene.found("n1", OTHER).startswith(LIE)
    scene = Scene(ID)
    scene.wait()
    assert scene.found("n1", None).startswith(LIE)  # That would be any content.


def test_a_name_is_never_taken_for_another() -> None:
    scene = Scene("b.bin")
    scene.wait()
    assert scene.found("n1").startswith(LIE)


def test_the_first_answer_says_what_is_fetched() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1")
    scene.download.handle(steps.HoldersFound(Holders("c.bin", OTHER, 1, holders("n2"))), scene.now)
    assert (scene.download.name, scene.download.id) == ("a.bin", ID)
    assert scene.download.roster.connected == ["n1"]  # Those who have something else are not asked.


def test_what_is_fetched_by_id_is_called_what_it_is_called_here_or_by_the_tracker() -> None:
    scene = Scene(ID)
    scene.wait()
    scene.found("n1")
    assert scene.download.name == "a.bin"
    scene = Scene(ID)
    scene.download.name = "mine"
    scene.wait()
    scene.found("n1")
    assert scene.download.name == "mine"


def a_fetch(*, is_exact: bool = False) -> Scene:
    """Fetch v1 of a.bin from n1, as far as that something comes."""
    scene = Scene()
    answer = Holders("a.bin", ID, 40, holders("n1"), (), version=1)
    meant = Meant(ID, "a.bin", ID, answer, is_exact=is_exact)
    scene.download = Download(meant, "me-4", (TRACKER,), rng(), SETTINGS)
    scene.feed(steps.HoldersFound(answer))
    scene.send_manifest("n1", DATA)
    scene.feed(steps.StagingOpened(0, 0b1111))
    scene.send("n1")
    return scene


def leave(scene: Scene) -> list[str]:
    """Have the holder go; return what is asked of the tracker then, twice."""
    asked: list[str] = []
    scene.feed(steps.HolderLost("n1", "closed the connection"))
    while len(asked) < 2:
        asked += [one.what for one in scene.wants if isinstance(one, steps.QueryTracker)]
        if scene.download._lookup.is_out:
            scene.feed(steps.NotFound())
        else:
            scene.jump()
    return asked


def newest(version: int, content_id: str = OTHER, named: str = "n1") -> steps.HoldersFound:
    return steps.HoldersFound(Holders("a.bin", content_id, 4, holders(named), (), version=version))


def test_the_name_is_asked_for_too_when_nobody_is_left() -> None:
    assert sorted(leave(a_fetch())) == ["a.bin", ID]


def test_a_version_that_was_asked_for_is_not_followed() -> None:
    scene = a_fetch(is_exact=True)
    assert leave(scene) == [ID, ID]
    assert MOVED not in scene.feed(newest(2))


def test_a_newer_version_that_others_have_ends_it() -> None:
    scene = a_fetch()
    leave(scene)
    assert scene.feed(newest(2)).startswith(MOVED)
    (fail,) = scene.wants
    assert isinstance(fail, steps.Fail)
    assert "a.bin changed while it was fetched" in fail.message


def test_what_is_no_newer_or_that_nobody_has_does_not() -> None:
    scene = a_fetch()
    leave(scene)
    assert MOVED not in scene.feed(newest(1))
    assert MOVED not in scene.feed(newest(2, named=""))
    assert MOVED not in scene.feed(newest(1, ID))
    assert scene.download.roster.connected == ["n1"]


def test_nothing_does_while_somebody_delivers() -> None:
    assert MOVED not in a_fetch().feed(newest(2))


def test_holders_that_bring_nothing_do_not_keep_it_from_the_newer_version() -> None:
    """Nodes whose source had gone waited for each other's chunks for ten minutes."""
    scene = a_fetch()
    scene.feed(steps.BytesCame("n1"))
    scene.now += 9.9
    assert MOVED not in scene.feed(newest(2))
    scene.now += 0.1
    assert scene.download.roster.connected == ["n1"]
    assert scene.feed(newest(2)).startswith(MOVED)

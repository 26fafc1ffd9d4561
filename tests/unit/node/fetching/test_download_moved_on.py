"""When the holders of what is fetched by name have moved on to another version."""

from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.versions import Meant
from shoal.protocol.messages import Holders

from tests.unit.node.fetching.test_download import DATA, ID, SETTINGS, Scene
from tests.unit.node.fetching.test_roster import TRACKER, holders
from tests.unit.node.things import rng

NEW = "b3:" + 64 * "0"
MOVED = "fail NOBODY_ALIVE"


def a_fetch(*, is_exact: bool = False) -> Scene:
    """Fetch v1 of a.bin from n1, as far as that something comes."""
    scene = Scene()
    answer = Holders("a.bin", ID, 40, holders("n1"), (), version=1)
    meant = Meant(ID, "a.bin", ID, answer, is_exact=is_exact)
    scene.download = Download(meant, "me-4", TRACKER, rng(), SETTINGS)
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


def newest(version: int, content_id: str = NEW, named: str = "n1") -> steps.HoldersFound:
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
    assert "a.bin has changed while it was fetched" in fail.message


def test_what_is_no_newer_or_that_nobody_has_does_not() -> None:
    scene = a_fetch()
    leave(scene)
    assert MOVED not in scene.feed(newest(1))
    assert MOVED not in scene.feed(newest(2, named=""))
    assert MOVED not in scene.feed(newest(1, ID))
    assert scene.download.roster.connected == ["n1"]


def test_nothing_does_while_somebody_delivers() -> None:
    assert MOVED not in a_fetch().feed(newest(2))

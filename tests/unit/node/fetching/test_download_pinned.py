"""What is fetched is what was asked for first, whatever the tracker answers later."""

from shoal.node.fetching import steps
from shoal.protocol.messages import Holders

from tests.unit.node.fetching.test_download import ID, Scene
from tests.unit.node.fetching.test_roster import holders

OTHER = "b3:" + 64 * "0"
LIE = "fail TRACKER_UNREACHABLE"


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

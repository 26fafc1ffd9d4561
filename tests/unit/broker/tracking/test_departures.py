"""Nodes that fall silent, and are forgotten."""

import pytest
from shoal.broker.tracking.changes import Dropped
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings

from tests.unit.broker.scene import EXAMPLE, TRACKER_ADDRESS, Scene, address_of

DAY_S = 86_400


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_silent_holders_are_named_but_not_handed_out(scene: Scene) -> None:
    scene.update("n1", "seeds.txt=1")
    scene.wait(20)
    scene.update("n2", "seeds.txt=1")
    scene.told()
    scene.wait(10)
    assert scene.ask("seeds.txt", "n3") == "=1 n2 silent n1?"
    scene.wait(20)
    assert scene.ask("seeds.txt", "n3") == "=1 silent n1? n2?"
    assert scene.told() == [
        "n1 went silent",
        "n3 asked for seeds.txt: sent to n2",
        "n2 went silent",
        "n3 asked for seeds.txt: all holders are silent (n1, n2)",
    ]


def test_tells_its_next_deadline(scene: Scene) -> None:
    deadlines = [scene.tracker.deadline]
    scene.update("n1")
    scene.wait(10)
    scene.update("n4", "a=1")
    for _ in range(3):
        deadlines.append(scene.tracker.deadline)
        scene.wait(20)
        scene.expire()
    began = scene.now - 70
    assert deadlines == [None, began + 30, began + 40, began + 50 + 86_400]
    assert scene.told()[-2:] == ["n1 went silent", "n4 went silent"]


def test_after_a_restart_only_nodes_that_have_spoken_are_called_alive(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.update("n2", "a=1")
    scene.restart()
    assert scene.nodes() == "n1 silent 1\nn2 silent 1\nn3 silent 0"
    assert scene.renew("n1") == "ok 1"
    assert scene.nodes() == "n1 alive 1\nn2 silent 1\nn3 silent 0"
    assert scene.ask("a") == "=1 n1 n2?"  # It is worth a try.
    scene.wait(30)
    assert scene.ask("a") == "=1 silent n1? n2?"


def test_a_restart_gives_silent_nodes_no_lease(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.wait(40)
    scene.expire()
    scene.restart()
    assert scene.ask("a") == "=1 silent n1?"
    scene.renew("n1")
    scene.restart()
    assert scene.ask("a") == "=1 n1?"


@pytest.mark.parametrize("restarts", [0, 1, 30])
@pytest.mark.parametrize("leaves", [True, False])
def test_a_stranger_that_is_gone_for_a_day_is_forgotten_with_what_it_held(
    restarts: int, *, leaves: bool
) -> None:
    scene = Scene(nodes=("n1",))
    scene.update("n1", "a=1")
    scene.update("n9", "a=1 b=2")
    if leaves:
        scene.leave("n9")
    scene.wait(30)
    scene.expire()
    for _ in range(restarts):
        scene.wait((DAY_S - 60) / restarts)
        scene.restart()
    scene.wait(DAY_S - 60 if not restarts else 0)
    assert scene.ask("b") == "=2 silent n9?"
    scene.wait(60 + 30)
    scene.expire()
    assert "forgot n9: silent for 24 h and not in the cluster file" in scene.told()
    assert scene.ask("b") == "NOT_FOUND no such file: b"
    assert scene.ask("a") == "=1 silent n1?"  # It is in the file.
    assert scene.nodes() == "n1 silent 1"
    scene.wait(30)
    scene.expire()
    assert scene.remembered() == "a | n1"


def test_a_stranger_that_comes_back_within_a_day_is_not_forgotten() -> None:
    scene = Scene(nodes=("n1",))
    scene.update("n4", "a=1")
    for _ in range(3):
        scene.wait(DAY_S - 60)
        assert scene.renew("n4") == "ok 1"
    scene.restart()
    assert scene.renew("n4") == "ok 1"


def test_the_time_until_a_node_is_forgotten_is_told() -> None:
    scene = Scene(nodes=("n1",), settings=TrackerSettings(forget_s=7200))
    scene.update("n4", "a=1")
    scene.wait(30)
    scene.expire()
    scene.wait(7200)
    scene.expire()
    assert scene.told()[-1] == "forgot n4: silent for 2 h and not in the cluster file"


def test_a_version_without_holders_is_dropped_on_time(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.wait(10)
    scene.update("n1", without="a=1")
    for seconds in (19, 1, 9.5):
        scene.wait(seconds)
        scene.renew("n1")
    assert not isinstance(scene.changes()[-1], Dropped)
    scene.wait(0.5)
    scene.renew("n1")
    assert isinstance(scene.changes()[-1], Dropped)


def test_goes_by_another_cluster_file() -> None:
    """The holdings of the first one count no longer for nodes that are gone from it."""
    scene = Scene(EXAMPLE)
    scene.update("n4", "a=1")
    nodes = {node: InitialNode(address_of(node)) for node in ("n2", "n3", "n5")}
    scene.tracker.learn(Initial(TRACKER_ADDRESS, nodes))
    assert scene.ask("net.txt") == "=? n2?"
    assert scene.ask("seeds.txt") == "=? n2? n3?"
    known = "n2 silent 2\nn3 silent 2\n"
    assert scene.nodes() == f"{known}n4 alive 1\nn5 silent 0"
    scene.update("n5", "b=1")
    for seconds in (40, DAY_S):
        scene.wait(seconds)
        scene.expire()
    assert scene.nodes() == f"{known}n5 silent 1"  # Only n4 is forgotten.

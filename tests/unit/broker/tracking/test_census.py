"""The tracker's counts of nodes, things and pushes."""

import pytest
from shoal.broker.tracking import census, push_counts
from shoal.protocol.messages import Ok
from shoal.protocol.pushing import Push, Target, Unpush

from tests.unit.broker.scene import SIZE_BYTES, Scene, content_id


def push(scene: Scene, name: str, number: int, *nodes: str) -> None:
    reply = scene.send(Push(name, content_id(number), SIZE_BYTES, Target(nodes=nodes)), None)
    assert isinstance(reply, Ok)


@pytest.fixture
def scene() -> Scene:
    """n1 holds a and b, n2 holds a, n3 has never spoken."""
    scene = Scene(accepts_pushes=True)
    scene.update("n1", "a=1!1 b=2!1")
    scene.wait(5)
    scene.update("n2", "a=1")
    return scene


def test_counts_nodes_by_their_state(scene: Scene) -> None:
    found = scene.tracker.census(scene.now)
    assert found.nodes == {"alive": 2, "offline": 0, "never_seen": 1}
    assert found.heard_s == {"n1": 5.0, "n2": 0.0}
    assert (found.versions, found.holdings) == (2, 3)
    scene.wait(28)
    scene.tracker.expire(scene.now)
    found = scene.tracker.census(scene.now)
    assert found.nodes == {"alive": 1, "offline": 1, "never_seen": 1}
    assert found.heard_s == {"n1": 33.0, "n2": 28.0}


def test_tells_of_nodes_that_are_not_listed_together(scene: Scene) -> None:
    scene.update("n8")
    scene.wait(2)
    scene.update("n9")
    assert scene.tracker.census(scene.now + 1).heard_s == {"n1": 8.0, "n2": 3.0, "other": 3.0}


def test_tells_of_so_many_nodes_one_by_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "MOST_NODES", 1)
    assert scene.tracker.census(scene.now).heard_s == {"n1": 5.0, "other": 0.0}


def test_counts_the_copies_that_are_wanted_and_those_that_there_are(scene: Scene) -> None:
    push(scene, "a", 1)
    push(scene, "b", 2, "n2", "n3")
    found = scene.tracker.census(scene.now)
    assert (found.pushes, found.wanted, found.have) == (2, 5, 2)
    scene.send(Unpush("a"), None)
    found = scene.tracker.census(scene.now)
    assert (found.pushes, found.wanted, found.have) == (1, 2, 0)


def test_counts_many_pushes_in_turn(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_counts, "LOOKS", 1)
    push(scene, "a", 1)
    push(scene, "b", 2, "n1")
    told = [scene.tracker.census(scene.now) for _ in range(2)]
    assert [(one.wanted, one.have) for one in told] == [(3, 2), (4, 3)]
    scene.update("n3", "a=1")
    told = [scene.tracker.census(scene.now) for _ in range(3)]
    assert told[-1].have == 4

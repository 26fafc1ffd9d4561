"""When the tracker hears what a node is doing."""

from shoal.protocol.messages import Ok, Renew, Update
from shoal.protocol.pushing import Doing

from tests.unit.node.serving.test_announcer import Scene


def test_what_a_node_does_is_told_with_its_next_renewal() -> None:
    scene = Scene("a=1")
    scene.announcer.tell_doing(Doing(version="1"), scene.now, within_s=0.0)
    first = scene.announcer.next_message(scene.now)  # It is not known yet: that comes first.
    assert isinstance(first, Update)
    scene.announcer.answered(Ok(lease_ms=30_000, holdings=1), scene.now)
    scene.announcer.tell_doing(Doing(version="2"), scene.now, within_s=2.0)
    assert scene.announcer.deadline == scene.now + 2
    renewal = scene.announcer.next_message(scene.now + 2)
    assert isinstance(renewal, Renew)
    assert renewal.doing == Doing(version="2")


def test_what_a_node_wants_is_told_at_once_if_it_has_changed() -> None:
    scene = Scene("a=1")
    scene.announcer.tell_wants(5, scene.now, within_s=2.0)
    assert isinstance(scene.announcer.next_message(scene.now), Update)
    scene.announcer.answered(Ok(lease_ms=30_000, holdings=1), scene.now)
    scene.announcer.tell_wants(5, scene.now, within_s=2.0)
    assert scene.announcer.deadline == scene.now + 2
    scene.announcer.tell_wants(7, scene.now, within_s=2.0)
    renewal = scene.announcer.next_message(scene.now)
    assert isinstance(renewal, Renew)
    assert renewal.wants == 7

"""When a node shows the tracker its token."""

from shoal.node.serving.announcer import Announcer
from shoal.protocol.messages import Leave, Ok, Renew, Update

from tests.unit.node.serving.test_announcer import ADDRESS, SETTINGS, Scene
from tests.unit.node.things import rng

TOKEN = "t1"  # noqa: S105 (of no tracker)


def test_shows_its_token_at_once_and_from_then_on() -> None:
    scene = Scene("a=1")
    scene.says()
    scene.announcer.answered(Ok(30_000, 1, token=TOKEN), scene.now)
    assert scene.announcer.token == TOKEN
    assert scene.announcer.deadline == scene.now
    renewal = scene.announcer.next_message(scene.now)
    assert renewal == Renew("n1", 5, 1, 1, TOKEN)
    scene.ok(1)
    assert scene.announcer.token == TOKEN  # No news.
    assert scene.announcer.farewell() == Leave("n1", 5, TOKEN)
    scene.hold("a=1 b=2")
    again = Announcer("n1", ADDRESS, 6, rng(), SETTINGS, TOKEN)  # As it was kept.
    for update in (scene.announcer.next_message(scene.now), again.next_message(0.0)):
        assert isinstance(update, Update)
        assert update.token == TOKEN

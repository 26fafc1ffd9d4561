"""What readers wait for, between their threads and those of fetches."""

import select
import threading

from shoal.node.network.attention import Attention
from shoal.protocol.manifest import ContentId
from shoal.wire.wake import Wake

ONE, OTHER = ContentId("b3:1"), ContentId("b3:2")
LIMIT_S = 30.0


def is_set(wake: Wake) -> bool:
    found = bool(select.select([wake], [], [], 0)[0])
    wake.clear()
    return found


def test_a_fetch_is_woken_when_something_else_is_urged() -> None:
    attention, wake = Attention(), Wake()
    with attention.listening(wake):
        attention.urge(ONE, ((1, 2),))
        assert (is_set(wake), attention.of(ONE), attention.of(OTHER)) == (True, ((1, 2),), ())
        attention.urge(ONE, ((1, 2),))
        attention.urge(OTHER, ())
        assert not is_set(wake)
        attention.urge(ONE, ())
        assert (is_set(wake), attention.of(ONE), attention.of(None)) == (True, (), ())
    attention.urge(ONE, ((1, 2),))
    assert not is_set(wake)
    wake.close()


def test_readers_wait_for_news_that_they_have_not_seen() -> None:
    attention = Attention()
    seen = attention.count
    attention.wait(seen, 0)
    waiting = threading.Thread(target=attention.wait, args=(seen, LIMIT_S))
    waiting.start()
    attention.news()
    waiting.join(LIMIT_S)
    assert not waiting.is_alive()
    attention.wait(seen, LIMIT_S)  # At once: these news are new to it.
    assert attention.count == seen + 1

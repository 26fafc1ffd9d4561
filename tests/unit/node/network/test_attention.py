"""What readers wait for, between their threads and those of fetches."""

import select
import threading

from shoal.node.fetching.steps import ChunksUrged
from shoal.node.network.attention import NOTHING, Attention
from shoal.protocol.manifest import ContentId
from shoal.wire.wake import Wake

ONE, OTHER = ContentId("b3:1"), ContentId("b3:2")
SOME = ChunksUrged(((1, 2),), only=((1, 5),))
LIMIT_S = 30.0


def is_set(wake: Wake) -> bool:
    found = bool(select.select([wake], [], [], 0)[0])
    wake.clear()
    return found


def test_a_fetch_is_woken_when_something_else_is_urged() -> None:
    attention, wake = Attention(), Wake()
    with attention.listening(wake):
        attention.urge(ONE, SOME)
        assert is_set(wake)
        assert attention.of(ONE, on_demand=True) == SOME
        assert attention.of(OTHER, on_demand=True) == NOTHING
        attention.urge(ONE, SOME)
        attention.urge(OTHER)
        assert not is_set(wake)
        attention.urge(ONE)
        assert is_set(wake)
        assert attention.of(ONE, on_demand=True) == attention.of(None, on_demand=True) == NOTHING
    attention.urge(ONE, SOME)
    assert not is_set(wake)
    wake.close()


def test_the_rest_comes_if_anybody_wants_it() -> None:
    attention, wake = Attention(), Wake()
    attention.urge(ONE, SOME)
    assert attention.of(ONE, on_demand=False) == ChunksUrged(SOME.stretches)
    with attention.listening(wake), attention.wanting(ONE):
        assert is_set(wake)
        with attention.wanting(ONE):
            pass
        assert attention.of(ONE, on_demand=True) == ChunksUrged(SOME.stretches)
        assert attention.of(OTHER, on_demand=True) == NOTHING
    assert attention.of(ONE, on_demand=True) == SOME
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

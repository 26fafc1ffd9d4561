"""How a rate is shared by connections, and what a server does with a limit."""

import pytest
from shoal.node.serving.shares import HEADROOM, Shares
from shoal.node.serving.steps import (
    AnswerFailed,
    AskerLeft,
    ChunkGone,
    ChunkRead,
    EndPaces,
    LimitChanged,
    ReadChunk,
    ReplyLeft,
    RequestArrived,
    SendReply,
    SetPace,
    Source,
    TimePassed,
)

from tests.unit.node.serving.scene import ANYWHERE, LONG, Scene

A, B, C = (Source("10.0.0.1", name) for name in "abc")
RATE = 1 << 20


def sharing(rate: int) -> Shares:
    shares = Shares()
    shares.rate = rate
    return shares


def test_each_active_connection_has_a_share() -> None:
    shares = sharing(1000)
    assert shares.changes([A], 1) == [(A, int(HEADROOM * 1000))]
    assert shares.changes([A, B], 2) == [(A, 525), (B, 525)]
    assert shares.changes([A, B], 2) == []
    assert shares.changes([B], 1) == [(B, 1050)]
    assert shares.changes([A, B], 2) == [(A, 525), (B, 525)]


def test_one_that_is_slow_takes_no_share_from_the_others() -> None:
    shares = sharing(1000)
    assert shares.changes([A, B], 1) == [(A, 1050), (B, 1050)]
    shares.rate = 100
    assert shares.changes([C], 0) == [(C, 105)]


def test_after_the_limit_has_ended_all_are_set_again() -> None:
    shares = sharing(1000)
    shares.changes([A], 1)
    shares.end()
    assert shares.changes([A], 1) == [(A, 1050)]


def test_the_connections_to_a_host_share_what_may_be_sent_to_it() -> None:
    shares, other = sharing(1000), Source("10.0.0.2", "b")
    shares.to_hosts = {"10.0.0.1": 200}
    assert shares.changes([A, B, other], 3) == [(A, 105), (B, 105), (other, 350)]
    shares.to_hosts = {"10.0.0.1": 2000}
    assert shares.changes([A, other], 2) == [(A, 525), (other, 525)]


def limited(rate: int = RATE) -> Scene:
    scene = Scene(chunk=LONG)
    scene.tell(LimitChanged(rate))
    return scene


def sent(scene: Scene) -> list[int]:
    return [one.number for one in scene.done if isinstance(one, SendReply)]


def paces(scene: Scene) -> list[tuple[Source, int]]:
    return [(one.source, one.rate) for one in scene.done if isinstance(one, SetPace)]


def test_a_server_keeps_to_its_limit_and_asks_to_be_woken() -> None:
    scene = limited()
    first = scene.arrive(scene.request(0))
    second = scene.arrive(scene.request(1))
    third = scene.arrive(scene.request(2))
    scene.tell(ReplyLeft(first))
    assert sent(scene) == [first]
    assert 0.9 < scene.server.deadline(scene.now) <= 1.0
    for number, expected in ((second, [first, second]), (third, [first, second, third])):
        scene.now = scene.server.deadline(scene.now)
        scene.tell(TimePassed())
        assert sent(scene) == expected
        scene.tell(ReplyLeft(number))


def arrived(scene: Scene, number: int) -> RequestArrived:
    return RequestArrived(number, ANYWHERE, scene.request(number))


@pytest.mark.parametrize("chunk", [LONG, bytes(1000)])
def test_a_chunk_counts_from_when_it_begins_to_be_read(chunk: bytes) -> None:
    """Otherwise as many as are read at a time would leave at once, whatever the limit."""
    scene = Scene(chunk=chunk)
    scene.tell(LimitChanged(len(chunk)))
    (reading,) = scene.server.handle(arrived(scene, 1), 0.0)
    assert reading == ReadChunk(1, scene.thing, 1)
    assert scene.server.handle(arrived(scene, 2), 0.0) == []
    assert 0.9 < scene.server.deadline(0.0) <= 1.0
    scene.tell(ChunkRead(1, chunk))
    assert 0.9 < scene.server.deadline(0.0) <= 1.0


@pytest.mark.parametrize("event", [ChunkGone(1, "a.bin"), AnswerFailed(1)])
def test_what_cannot_be_read_has_not_been_sent(event: ChunkGone | AnswerFailed) -> None:
    scene = limited()
    assert len(scene.server.handle(arrived(scene, 1), 0.0)) == 1
    assert scene.server.handle(arrived(scene, 2), 0.0) == []
    *_, reading = scene.server.handle(event, 0.0)
    assert reading == ReadChunk(2, scene.thing, 2)


def test_a_connection_is_paced_before_anything_is_sent_over_it() -> None:
    scene = limited()
    scene.arrive(scene.request(0))
    first, *others = scene.done
    assert first == SetPace(ANYWHERE, int(HEADROOM * RATE))
    assert scene.replies()[0] in others


def test_short_replies_count_too() -> None:
    scene = Scene(chunk=bytes(1000))
    scene.tell(LimitChanged(1000))
    scene.arrive(scene.request(0))
    scene.arrive(scene.request(1))
    assert len(sent(scene)) == 1
    scene.tell(LimitChanged(None))
    assert len(sent(scene)) == 2


def test_a_limit_that_ends_ends_the_paces() -> None:
    scene = limited(8 * RATE)
    other = Source("10.0.0.2", "b")
    scene.arrive(scene.request(0))
    scene.now = 10.0
    scene.arrive(scene.request(1), other)
    whole, half = int(HEADROOM * 8 * RATE), int(HEADROOM * 4 * RATE)
    assert paces(scene) == [(ANYWHERE, whole), (ANYWHERE, half), (other, half)]
    scene.tell(AskerLeft(other))
    scene.done.clear()
    scene.tell(LimitChanged(None))
    assert scene.done == [EndPaces()]
    scene.arrive(scene.request(2))
    assert not paces(scene)


def test_a_pace_alone_holds_nobody_up() -> None:
    """Or nothing would be sent for long, and so nobody would know that the others have gone."""
    scene = Scene(chunk=LONG)
    scene.tell(LimitChanged(None, RATE // 10, {ANYWHERE.address: RATE // 20}))
    first, second = scene.arrive(scene.request(0)), scene.arrive(scene.request(1))
    assert sent(scene) == [first, second]
    assert paces(scene) == [(ANYWHERE, int(HEADROOM * (RATE // 20)))]
    assert scene.server.active(scene.now) == [ANYWHERE]
    assert scene.server.is_busy
    scene.tell(ReplyLeft(first))
    scene.tell(ReplyLeft(second))
    assert not scene.server.is_busy

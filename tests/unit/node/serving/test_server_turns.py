"""When a server answers, and what it does while it cannot."""

import math

from shoal.node.serving import pacing
from shoal.node.serving.server import MOST_READINGS, READING_S
from shoal.node.serving.steps import (
    Arrived,
    AskerLeft,
    ChunkRead,
    End,
    LogUpload,
    ManyArrived,
    NonsenseArrived,
    ReadChunk,
    ReplyLeft,
    RequestArrived,
    SendReply,
    Source,
    TimePassed,
)
from shoal.node.serving.waiting import MOST_REQUESTS
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import (
    ChunkReply,
)

from tests.unit.node.serving.scene import ANYWHERE, COUNT, LONG, Scene


def test_one_request_of_each_connection_in_turn() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(pacing.QUICK_REPLIES):
        scene.arrive(scene.request(0), Source("10.0.0.9", 0))
    first = len(scene.replies())
    for connection in "112131":
        scene.arrive(scene.request(0), Source("10.0.0.1", connection))
    for number in range(1, 7):
        scene.tell(ReplyLeft(number))
    numbers = [reply.number - first for reply in scene.replies()[first:]]
    assert numbers == [1, 3, 5, 2, 4, 6]


def test_of_what_has_come_together_each_host_has_its_turn() -> None:
    """Not the one whose requests were received first."""
    scene = Scene(chunk=LONG)
    askers = [Source("10.0.0.1", 1)] * 20 + [Source("10.0.0.2", 1)]
    several: list[Arrived] = [
        RequestArrived(number, asker, scene.request(0)) for number, asker in enumerate(askers)
    ]
    scene.tell(ManyArrived([*several, NonsenseArrived(99, ANYWHERE, WireCode.MALFORMED, "?")]))
    numbers = [reply.number for reply in scene.replies()]
    assert 20 in numbers[: pacing.QUICK_REPLIES]
    assert 99 in numbers
    assert len(numbers) == pacing.QUICK_REPLIES + 1


def test_many_chunks_are_read_at_a_time_but_no_more_than_there_is_room_for() -> None:
    scene = Scene(chunk=LONG)
    actions = [
        action
        for number in range(1, 20)
        for action in scene.server.handle(RequestArrived(number, ANYWHERE, scene.request(0)), 0)
    ]
    assert [type(action) for action in actions] == [ReadChunk] * pacing.QUICK_REPLIES
    assert scene.server.handle(ChunkRead(1, LONG), 0)[-1] == SendReply(
        1, ChunkReply(0, b"", 1), LONG, is_counted=True
    )


def test_a_disk_that_hangs_holds_up_only_what_is_on_it() -> None:
    scene = Scene(chunk=LONG)
    for number in range(100, 100 + pacing.QUICK_REPLIES):
        scene.server.handle(RequestArrived(number, ANYWHERE, scene.request(0)), 0)
    scene.arrive(scene.request(1))
    assert scene.replies() == []
    scene.now = scene.server.deadline(scene.now)
    assert scene.now == READING_S
    scene.tell(TimePassed())
    assert [reply.number for reply in scene.replies()] == [1]


def test_only_so_much_is_read_at_a_time_however_long_it_takes() -> None:
    scene = Scene(chunk=LONG)
    reading = 0
    for number in range(100, 300):
        scene.now += 10
        asker = Source("10.0.0.2", number)
        reading += len(
            scene.server.handle(RequestArrived(number, asker, scene.request(0)), scene.now)
        )
    assert reading == MOST_READINGS


def test_who_asks_for_too_much_at_a_time_is_cut_off() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(pacing.QUICK_REPLIES + MOST_REQUESTS):
        scene.arrive(scene.request(0))
    assert not any(isinstance(one, End) for one in scene.done)
    scene.arrive(scene.request(0))
    assert scene.done[-1] == End(ANYWHERE, "asks for too much")


def test_what_an_asker_wanted_is_forgotten_when_it_has_left() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(20):
        scene.arrive(scene.request(0))
    scene.tell(AskerLeft(ANYWHERE))
    for number in range(1, pacing.QUICK_REPLIES + 1):
        scene.tell(ReplyLeft(number))
    assert len(scene.replies()) == pacing.QUICK_REPLIES
    assert math.isinf(scene.server.deadline(scene.now))


def test_waits_while_replies_fill_a_slow_link() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(20):
        scene.arrive(scene.request(0))
    for number in range(1, 17):  # 1 MiB takes 0.1 s.
        scene.now += 0.1
        scene.tell(ReplyLeft(number))
    assert {reply.number for reply in scene.replies()} == {*range(1, 21)}
    scene.arrive(scene.request(0))
    scene.arrive(scene.request(0))
    assert len(scene.replies()) == 22  # Six are on their way.
    scene.arrive(scene.request(0))
    assert len(scene.replies()) == 22
    scene.tell(ReplyLeft(17))
    assert scene.replies()[-1].number == 23
    assert math.isinf(scene.server.deadline(scene.now))


def test_a_reply_that_does_not_leave_holds_up_no_others_for_long() -> None:
    scene = Scene(chunk=LONG)
    for _ in range(pacing.QUICK_REPLIES + 1):
        scene.arrive(scene.request(0))
    scene.arrive(scene.request(0), Source("10.0.0.2", 1))
    assert len(scene.replies()) == pacing.QUICK_REPLIES
    deadline = scene.server.deadline(scene.now)
    assert deadline == pacing.STUCK_LEAST_S
    scene.now = deadline / 2
    scene.tell(TimePassed())
    assert len(scene.replies()) == pacing.QUICK_REPLIES
    scene.now = deadline
    scene.tell(TimePassed())
    # The one who does not read has to wait until it has.
    assert scene.replies()[-1].number == pacing.QUICK_REPLIES + 2
    assert math.isinf(scene.server.deadline(scene.now))
    for number in range(1, pacing.QUICK_REPLIES + 1):
        scene.tell(ReplyLeft(number))
    assert scene.replies()[-1].number == pacing.QUICK_REPLIES + 1


def test_short_replies_do_not_count() -> None:
    scene = Scene(chunk=bytes(pacing.COUNTED_BYTES - 1))
    for _ in range(100):
        assert not scene.reply(scene.request(0)).is_counted


def test_who_has_left_replies_unread_for_longest_goes_when_that_is_too_much() -> None:
    scene = Scene(chunk=LONG)
    askers = [Source("10.0.0.2", number) for number in range(100)]
    for asker in askers:
        scene.now += 1  # What has not left by then holds nobody up, but takes memory.
        assert scene.ask_from(asker) == "0"
        if (pacing.MAX_UNSENT_BYTES // len(LONG)) <= len(scene.replies()) - 1:
            break
        assert not any(isinstance(one, End) for one in scene.done)
    assert scene.done[-1] == End(askers[0], "does not read what it asked for")


def test_the_first_uploads_are_logged_and_then_one_a_second() -> None:
    scene = Scene()
    for _ in range(100):
        scene.ask(3)
        scene.now += 0.05
    lines = [one for one in scene.done if isinstance(one, LogUpload)]
    assert lines[0] == LogUpload("a.bin", 3, COUNT, "n2")
    assert 8 <= len(lines) <= 8 + 5

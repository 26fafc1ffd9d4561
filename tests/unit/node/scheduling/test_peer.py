"""One holder's window, its record, and what it is believed to have."""

import math

import msgspec
import pytest
from shoal.node.scheduling.outstanding import Request
from shoal.node.scheduling.pace import Pace
from shoal.node.scheduling.peer import Peer
from shoal.node.scheduling.settings import FetchSettings

from tests.unit.node.things import bits, digits

SETTINGS = FetchSettings(
    window_bytes=100,
    window_requests=4,
    calm_latency_s=0.15,
    queued_latency_s=0.6,
    first_patience_s=5,
    least_patience_s=1,
    most_patience_s=30,
    patience_latencies=4,
    give_up_s=60,
    late_pause_s=0.5,
    busy_pause_s=0.1,
    most_busy_pause_s=0.3,
    refresh_s=0.2,
)


LONG = 1 << 20


def pace_of(size_bytes: int, took_s: float) -> Pace:
    """Return what one reply has told."""
    pace = Pace()
    pace.delivered(size_bytes, took_s)
    return pace


class Asker:
    """Asks one holder, and has it answer after as many seconds as are told."""

    def __init__(
        self,
        have: str | None = "0123456789",
        now: float = 0.0,
        settings: FetchSettings = SETTINGS,
    ) -> None:
        self.now = now
        self.peer = Peer("n1", None if have is None else bits(have), now, settings)
        self._last_id = 0

    def ask(self, chunks: str = "0", size_bytes: int = 10) -> Request:
        self._last_id += 1
        patience_s = self.peer.patience_s()
        due, written_off_at = self.now + patience_s, self.now + self.peer.write_off_s(patience_s)
        request = Request(
            self._last_id, "n1", int(chunks), size_bytes, self.now, due, written_off_at
        )
        self.peer.sent(request)
        return request

    def deliver(self, request: Request) -> None:
        self.peer.delivered(request, request.size_bytes, self.now)
        self.peer.closed(request, self.now)

    def fetch(self, latency_s: float, times: int = 1) -> None:
        for _ in range(times):
            request = self.ask()
            self.now += latency_s
            self.deliver(request)

    def room_bytes(self) -> int:
        """Return how much more it may be asked for now."""
        return max(
            (size for size in range(1, 200) if self.peer.may_be_asked(size, self.now)), default=0
        )


def test_is_asked_for_one_chunk_until_it_has_delivered_one() -> None:
    asker = Asker()
    request = asker.ask()
    assert not asker.peer.may_be_asked(10, asker.now)
    asker.now += 0.1
    asker.deliver(request)
    asker.ask()
    assert asker.peer.may_be_asked(10, asker.now)


def test_a_chunk_larger_than_the_window_is_asked_for_alone() -> None:
    asker = Asker()
    asker.fetch(0.1)
    assert asker.peer.may_be_asked(10_000, asker.now)
    asker.ask()
    assert not asker.peer.may_be_asked(10_000, asker.now)


def test_the_window_grows_while_replies_come_back_soon_up_to_its_limit() -> None:
    asker = Asker()
    rooms = []
    for _ in range(12):
        asker.fetch(0.01)
        asker.ask(size_bytes=0)
        rooms.append(asker.room_bytes())
        asker.peer.closed(next(iter(asker.peer.outstanding.values())), asker.now)
    assert rooms == [20, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100, 100]


def test_the_window_shrinks_when_replies_queue_up_but_not_below_a_chunk() -> None:
    asker = Asker()
    asker.fetch(0.01, times=4)
    rooms = []
    for _ in range(6):
        asker.fetch(0.7)
        asker.ask(size_bytes=0)
        rooms.append(asker.room_bytes())
        asker.peer.closed(next(iter(asker.peer.outstanding.values())), asker.now)
    assert rooms == [40, 30, 20, 10, 10, 10]


def test_never_has_more_requests_than_the_holder_answers() -> None:
    asker = Asker()
    asker.fetch(0.01, times=20)
    for _ in range(SETTINGS.window_requests):
        assert asker.peer.may_be_asked(1, asker.now)
        asker.ask(size_bytes=1)
    assert not asker.peer.may_be_asked(1, asker.now)


def test_waits_for_a_stranger_twice_as_long_as_for_the_others_within_bounds() -> None:
    """A host without power kept chunks from being asked of others for the whole 5 s."""
    asker = Asker()
    usual = (pace_of(10, usual_s) for usual_s in (0.01, 0.25, 10))
    assert [asker.peer.patience_s(pace) for pace in usual] == [1, 2, 5]
    asker.fetch(0.5)
    assert asker.peer.patience_s(pace_of(10, 10.0)) == 2


def test_is_not_late_before_it_could_be_with_a_full_queue() -> None:
    """Chunks of 4 MiB over 4 Mbit/s take 9 s each: after 5 s all were asked of others too."""
    asker, slow = Asker(), pace_of(LONG, 9.0)
    assert asker.peer.patience_s(slow, LONG) == 16 * 9
    assert asker.peer.patience_s(slow, LONG // 4) == 16 * 9 / 4
    asker.fetch(0.01)
    assert asker.peer.patience_s(slow, LONG) == 16 * 9
    assert asker.peer.patience_s(pace_of(LONG, 0.01), LONG) == 1


def test_waits_the_longer_for_long_chunks_while_nothing_tells_what_they_take() -> None:
    asker = Asker()
    assert asker.peer.patience_s(pace_of(10, 0.01), SETTINGS.first_patience_bytes) == 5
    assert asker.peer.patience_s(pace_of(10, 0.01), 4 * SETTINGS.first_patience_bytes) == 20
    assert asker.peer.write_off_s(100) == 100
    asker.fetch(0.01)
    assert asker.peer.patience_s(pace_of(10, 0.01), 4 * SETTINGS.first_patience_bytes) == 30


def test_waits_longer_for_a_slow_holder_within_bounds() -> None:
    asker = Asker()
    assert asker.peer.patience_s() == 5
    asker.fetch(0.01)
    assert asker.peer.patience_s() == 1
    asker.fetch(2, times=30)
    assert 7.9 < asker.peer.patience_s() < 8
    asker.fetch(100)
    assert asker.peer.patience_s() == 30


def test_leaves_it_alone_longer_each_time_until_it_delivers() -> None:
    asker = Asker()
    pauses = []
    for _ in range(8):
        asker.peer.back_off(asker.now)
        pauses.append(asker.peer.wakes_at() - asker.now)
        assert not asker.peer.may_be_asked(1, asker.peer.wakes_at() - 0.01)
        assert asker.peer.may_be_asked(1, asker.peer.wakes_at())
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    asker.fetch(0.1)
    assert asker.peer.may_be_asked(1, asker.now)
    asker.peer.back_off(asker.now)
    assert asker.peer.wakes_at() == asker.now + 0.5


def test_leaves_one_that_is_busy_alone_for_a_moment() -> None:
    """Eight requests that are out are refused at once: that is one time, not eight."""
    asker = Asker()
    pauses = []
    for _ in range(4):
        for _ in range(8):
            asker.peer.is_busy(asker.now)
        pauses.append(round(asker.peer.wakes_at() - asker.now, 3))
        asker.now = asker.peer.wakes_at()
    assert pauses == [0.1, 0.2, 0.3, 0.3]
    asker.fetch(0.1)
    asker.peer.is_busy(asker.now)
    assert asker.peer.wakes_at() == asker.now + 0.1


def test_is_lost_when_it_is_silent_too_long_while_it_is_asked() -> None:
    asker = Asker()
    asker.now = 100
    assert asker.peer.lost_at() == math.inf
    first = asker.ask()
    asker.ask()
    assert asker.peer.lost_at() == 160
    asker.now = 150
    asker.deliver(first)
    assert asker.peer.lost_at() == 210


def test_its_silence_may_be_granted_longer() -> None:
    peer = Peer("n1", None, 0, SETTINGS, give_up_s=500)
    peer.sent(Request(1, "n1", 0, 10, sent_at=3, due=8, written_off_at=63))
    assert peer.lost_at() == 503


def test_is_not_asked_again_for_what_is_late_until_it_is_written_off() -> None:
    asker = Asker("012")
    request = asker.ask("1")
    assert digits(asker.peer.said_to_have) == "012"
    request.is_overdue = True
    asker.peer.is_late_with(request, asker.now)
    assert digits(asker.peer.said_to_have) == "02"
    asker.peer.write_off(request)
    assert digits(asker.peer.said_to_have) == "012"


def test_a_request_that_is_written_off_makes_room() -> None:
    """Fault 38: one lost reply must not end the asking."""
    asker = Asker()
    request = asker.ask()
    assert not asker.peer.may_be_asked(10, asker.now)
    asker.peer.write_off(request)
    asker.peer.write_off(request)
    assert asker.peer.may_be_asked(10, asker.now)
    assert asker.peer.lost_at() == 60
    asker.ask()
    asker.deliver(request)
    assert (asker.peer.waiting, asker.peer.may_be_asked(10, asker.now)) == (1, True)


def test_nothing_is_written_off_soon_over_a_slow_link() -> None:
    """1 MiB takes 131 s at 64 kbit/s, and asking twice would make it twice (fault 107)."""
    asker = Asker()
    assert asker.peer.write_off_s(5) == 60
    asker.fetch(131)
    assert (asker.peer.patience_s(), asker.peer.write_off_s(30)) == (30, 12 * 131)
    quick = Asker()
    quick.fetch(0.01)
    assert quick.peer.write_off_s(1) == 3


def test_one_whose_bytes_trickle_in_is_not_silent() -> None:
    asker = Asker()
    asker.ask()
    asker.peer.is_sending(50)
    assert asker.peer.lost_at() == 110


def test_one_is_not_lost_before_what_it_was_asked_for_is_late() -> None:
    peer = Peer("n1", None, 0, SETTINGS)
    peer.sent(Request(1, "n1", 0, 10, sent_at=3, due=300, written_off_at=900))
    assert peer.lost_at() == 300


FAR = msgspec.structs.replace(SETTINGS, far_window_bytes=30)


def test_a_far_holder_has_a_few_chunks_on_their_way_from_the_start() -> None:
    asker = Asker(settings=FAR)
    asker.peer.met(0.01)
    asker.ask(size_bytes=0)
    assert asker.room_bytes() == 0
    asker.peer.met(0.2)
    assert asker.room_bytes() == 30


def test_how_far_away_it_is_does_not_keep_the_window_from_growing() -> None:
    """At 100 ms and more the window stayed at one chunk: 16 MiB took 40 s, not 4."""
    asker = Asker(settings=FAR)
    asker.peer.met(0.2)
    rooms = []
    for latency_s in (0.21, 0.4, 0.41, 0.21, 0.95, 0.95, 0.95, 0.95):
        asker.fetch(latency_s)
        asker.ask(size_bytes=0)
        rooms.append(asker.room_bytes())
        asker.peer.closed(next(iter(asker.peer.outstanding.values())), asker.now)
    assert rooms == [40, 50, 60, 70, 60, 50, 40, 30]


def test_a_reply_that_is_quicker_than_the_greeting_tells_how_near_it_is() -> None:
    asker = Asker(settings=FAR)
    asker.peer.met(5.0)  # While this machine was busy.
    request = asker.ask()
    asker.peer.had_nothing(request, 0, asker.now + 0.01)
    asker.peer.closed(request, asker.now + 0.01)
    asker.fetch(0.7, times=9)
    asker.ask(size_bytes=0)
    assert asker.room_bytes() == 10


def test_may_have_anything_while_it_has_not_said_what() -> None:
    asker = Asker(None)
    assert asker.peer.believed_to_have(0) == -1
    assert asker.peer.said_to_have == 0
    asker.ask()
    assert asker.peer.believed_to_have(0) == 0


def test_may_have_anything_again_when_its_word_is_old() -> None:
    asker = Asker(None)
    asker.peer.learn(bits("35"), 1.0, is_whole=False)
    assert digits(asker.peer.believed_to_have(1.1)) == "35"
    assert asker.peer.wakes_at() == 1.2
    assert asker.peer.believed_to_have(1.2) == -1


def test_one_that_has_had_no_news_for_long_is_asked_less_and_less_often() -> None:
    """All wait for a holder that is away, and would ask each other for ever (16 hosts: 2 cores)."""
    asker = Asker(None)
    for now, again in ((1, 1.2), (4, 4.5), (8, 9), (100, 102)):
        asker.peer.learn(0, now, is_whole=False)
        assert asker.peer.wakes_at() == pytest.approx(again)


@pytest.mark.parametrize("hear", [True, False])
def test_one_that_has_news_is_asked_again_soon(hear: bool) -> None:  # noqa: FBT001 (a parameter)
    asker = Asker(None)
    asker.peer.learn(0, 100, is_whole=False)
    if hear:
        assert asker.peer.heard(bits("3"), 100)
    asker.peer.learn(bits("3"), 100, is_whole=False)
    assert asker.peer.wakes_at() == pytest.approx(100.2)


def test_a_whole_holder_s_word_does_not_grow_old() -> None:
    asker = Asker("01")
    assert digits(asker.peer.believed_to_have(1000)) == "01"


def test_backs_off_from_one_that_does_not_send_what_it_says_it_has() -> None:
    asker = Asker("01")
    asker.peer.had_nothing(asker.ask("2"), bits("01"), 0)
    assert asker.peer.wakes_at() == 0
    asker.peer.had_nothing(asker.ask("1"), bits("01"), 0)
    assert asker.peer.wakes_at() == 0.5


def test_one_that_gave_it_to_others_meanwhile_is_asked_at_once_but_not_for_ever() -> None:
    asker = Asker("01")
    pauses = []
    for _ in range(10):
        asker.peer.had_nothing(asker.ask("1"), bits("0"), 100)
        asker.peer.learn(bits("01"), 100, is_whole=True)
        pauses.append(max(0, round(asker.peer.wakes_at() - 100, 3)))
    assert pauses[:3] == [0, 0, 0]
    assert pauses[3:6] == [0.4, 0.5, 0.5]
    asker.fetch(0.01)
    asker.peer.had_nothing(asker.ask("1"), bits("0"), 200)
    assert asker.peer.wakes_at() < 200


def test_what_it_sent_wrong_it_does_not_have_whatever_is_said() -> None:
    asker = Asker("0123")
    asker.peer.sent_wrong(bits("2"))
    assert digits(asker.peer.believed_to_have(0)) == "013"
    asker.peer.learn(bits("0123"), 0, is_whole=True)
    assert (digits(asker.peer.told), digits(asker.peer.said_to_have)) == ("013", "013")
    assert not asker.peer.heard(bits("2"), 0)
    assert digits(asker.peer.told) == "013"


def test_of_one_whose_word_is_old_all_may_be_had_but_what_it_sent_wrong() -> None:
    asker = Asker(None)
    asker.peer.sent_wrong(bits("2"))
    assert digits(asker.peer.believed_to_have(10) & bits("0123")) == "013"

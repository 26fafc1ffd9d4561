"""A holder's window, its record, and what it is believed to have; and all holders in order."""

import math

import pytest
from shoal.node.scheduling import holders
from shoal.node.scheduling.holders import LONG_BYTES, Pace, Peer
from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.requests import Request
from shoal.node.scheduling.wanted import Twins, Wanted

from tests.unit.node.things import bits, digits, rng, thing

UNIT = holders.WINDOW_BYTES // 100
ALL = bits("0123456789")
DIFFERENT = Twins(thing([10] * 10))
LONG = 1 << 20


def pace_of(size_bytes: int, took_s: float) -> Pace:
    """Return what one reply has told."""
    pace = Pace()
    pace.delivered(size_bytes, took_s)
    return pace


class Asker:
    """Asks one holder, and has it answer after a given time. Sizes are in UNITs."""

    def __init__(
        self,
        have: str | None = "0123456789",
        now: float = 0.0,
    ) -> None:
        self.now = now
        self.peer = Peer("n1", None if have is None else bits(have), now)
        self._last_id = 0

    def ask(self, chunk: str = "0", size: int = 10) -> Request:
        self._last_id += 1
        patience_s = self.peer.patience_s()
        due, written_off_at = self.now + patience_s, self.now + self.peer.write_off_s(patience_s)
        request = Request(
            self._last_id, "n1", int(chunk), size * UNIT, self.now, due, written_off_at
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

    def may_be_asked(self, size: int = 10, now: float | None = None) -> bool:
        return self.peer.may_be_asked(size * UNIT, self.now if now is None else now)

    def room(self) -> int:
        """Return how much more it may be asked for now, beside a request."""
        request = self.ask(size=0)
        room = max((size for size in range(1, 200) if self.may_be_asked(size)), default=0)
        self.peer.closed(request, self.now)
        return room


def test_a_chunk_larger_than_the_window_is_asked_for_alone() -> None:
    asker = Asker()
    asker.fetch(0.1)
    assert asker.may_be_asked(10_000)
    asker.ask()
    assert not asker.may_be_asked(10_000)


def test_the_window_grows_while_replies_come_back_soon_up_to_its_limit() -> None:
    asker = Asker()
    rooms = []
    for _ in range(12):
        asker.fetch(0.01)
        rooms.append(asker.room())
    assert rooms == [20, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100, 100]


def test_the_window_shrinks_when_replies_queue_up_but_not_below_a_chunk() -> None:
    asker = Asker()
    asker.fetch(0.01, times=4)
    rooms = []
    for _ in range(6):
        asker.fetch(0.7)
        rooms.append(asker.room())
    assert rooms == [40, 30, 20, 10, 10, 10]


def test_never_has_more_requests_than_the_holder_answers() -> None:
    asker = Asker()
    asker.fetch(0.01, times=20)
    for _ in range(holders.WINDOW_REQUESTS):
        assert asker.may_be_asked(1)
        asker.ask(size=1)
    assert not asker.may_be_asked(1)


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
    assert asker.peer.patience_s(pace_of(10, 0.01), holders.FIRST_PATIENCE_BYTES) == 5
    assert asker.peer.patience_s(pace_of(10, 0.01), 4 * holders.FIRST_PATIENCE_BYTES) == 20
    assert asker.peer.write_off_s(100) == 100
    asker.fetch(0.01)
    assert asker.peer.patience_s(pace_of(10, 0.01), 4 * holders.FIRST_PATIENCE_BYTES) == 30


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
        assert not asker.may_be_asked(now=asker.peer.wakes_at() - 0.01)
        assert asker.may_be_asked(now=asker.peer.wakes_at())
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30]
    asker.fetch(0.1)
    assert asker.may_be_asked()
    asker.peer.back_off(asker.now)
    assert asker.peer.wakes_at() == asker.now + 0.5


def test_leaves_one_that_is_busy_alone_for_a_moment() -> None:
    """Eight requests that are out are refused at once: that is one time, not eight."""
    asker = Asker()
    pauses = []
    for _ in range(8):
        for _ in range(8):
            asker.peer.is_busy(asker.now)
        pauses.append(round(asker.peer.wakes_at() - asker.now, 3))
        asker.now = asker.peer.wakes_at()
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1, 1]
    asker.fetch(0.1)
    asker.peer.is_busy(asker.now)
    assert asker.peer.wakes_at() == asker.now + 0.02


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
    peer = Peer("n1", None, 0, give_up_s=500)
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


def test_nothing_is_written_off_soon_over_a_slow_link() -> None:
    """1 MiB takes 131 s at 64 kbit/s, and asking twice would double that."""
    asker = Asker()
    assert asker.peer.write_off_s(5) == 60
    asker.fetch(131)
    assert (asker.peer.patience_s(), asker.peer.write_off_s(30)) == (30, 12 * 131)
    quick = Asker()
    quick.fetch(0.01)
    assert quick.peer.write_off_s(1) == 3


def test_one_is_not_lost_before_what_it_was_asked_for_is_late() -> None:
    peer = Peer("n1", None, 0)
    peer.sent(Request(1, "n1", 0, 10, sent_at=3, due=300, written_off_at=900))
    assert peer.lost_at() == 300


def test_a_far_holder_has_a_few_chunks_on_their_way_from_the_start() -> None:
    asker = Asker()
    asker.peer.met(0.01)
    assert asker.room() == 0
    asker.peer.met(0.2)
    assert asker.room() == holders.FAR_WINDOW_BYTES // UNIT


def test_how_far_away_it_is_does_not_keep_the_window_from_growing() -> None:
    """At 100 ms and more the window stayed at one chunk: 16 MiB took 40 s, not 4."""
    asker = Asker()
    asker.peer.met(0.2)
    rooms = []
    for latency_s in (0.21, 0.4, 0.41, 0.21, 0.95, 0.95, 0.95, 0.95):
        asker.fetch(latency_s)
        rooms.append(asker.room())
    assert rooms == [20, 30, 40, 50, 40, 30, 20, 20]


def test_a_reply_that_is_quicker_than_the_greeting_tells_how_near_it_is() -> None:
    asker = Asker()
    asker.peer.met(5.0)  # While this machine was busy.
    request = asker.ask()
    asker.peer.had_nothing(request, 0, asker.now + 0.01)
    asker.peer.closed(request, asker.now + 0.01)
    asker.fetch(0.7, times=9)
    assert asker.room() == 10


def test_may_have_anything_while_it_has_not_said_what() -> None:
    asker = Asker(None)
    assert asker.peer.believed_to_have(0) == -1
    assert asker.peer.said_to_have == 0
    asker.ask()
    assert asker.peer.believed_to_have(0) == 0


def test_may_have_anything_again_when_its_word_is_old() -> None:
    asker = Asker(None)
    asker.peer.learn(bits("35"), 1.0, is_whole=False)
    assert digits(asker.peer.believed_to_have(1.01)) == "35"
    assert asker.peer.wakes_at() == 1.02
    assert asker.peer.believed_to_have(1.02) == -1


def test_one_that_has_had_no_news_for_long_is_asked_less_and_less_often() -> None:
    """All wait for a holder that is away, and would ask each other for ever (16 hosts: 2 cores)."""
    asker = Asker(None)
    for now, again in ((1, 1.125), (4, 4.5), (8, 9), (100, 102)):
        asker.peer.learn(0, now, is_whole=False)
        assert asker.peer.wakes_at() == pytest.approx(again)


def test_one_that_has_news_is_asked_again_soon() -> None:
    asker = Asker(None)
    asker.peer.learn(0, 100, is_whole=False)
    asker.peer.learn(bits("3"), 100, is_whole=False)
    assert asker.peer.wakes_at() == pytest.approx(100.02)


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
    assert pauses[3:] == [0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5]
    asker.fetch(0.01)
    asker.peer.had_nothing(asker.ask("1"), bits("0"), 200)
    assert asker.peer.wakes_at() < 200


def test_what_it_sent_wrong_it_does_not_have_whatever_is_said() -> None:
    asker = Asker("0123")
    asker.peer.sent_wrong(bits("2"))
    assert digits(asker.peer.believed_to_have(0)) == "013"
    asker.peer.learn(bits("0123"), 0, is_whole=True)
    assert (digits(asker.peer.told), digits(asker.peer.said_to_have)) == ("013", "013")
    asker.peer.learn(bits("0"), 0, is_whole=False)
    assert digits(asker.peer.believed_to_have(10) & bits("0123")) == "013"


# All holders.


def some(*holders: str) -> Neighbours:
    """`n1:02` has chunks 0 and 2, `n1` all of them; the first is the farthest."""
    near = Neighbours()
    for place, text in enumerate(holders):
        node, _, chunks = text.partition(":")
        have = None if chunks else ALL
        near.add(Peer(node, have, 0, distance=100 - place))
        if chunks:
            near.learn(node, bits(chunks), 0, is_whole=False)
    return near


def idle(near: Neighbours, missing: str) -> str:
    wanted = Wanted(0, bits(missing), rng(), DIFFERENT)
    return " ".join(f"{peer.node}:{digits(chunks)}" for peer, chunks in near.idle(wanted))


def test_those_that_owe_something_come_last_and_get_what_is_left() -> None:
    near = some("n1:0", "n2:0", "n3:1")
    for node in ("n1", "n3"):
        request = Request(1, node, 9, 10, 0.0, 1.0, 3.0)
        near[node].sent(request)
        near[node].write_off(request)
    assert idle(near, "01") == "n2:0 n3:1 n1:0"
    wanted = Wanted(0, bits("0"), rng(), DIFFERENT)
    asked = []
    for peer, chunks in near.idle(wanted):
        asked.append(peer.node)
        wanted.claim(chunks)
    assert asked == ["n2"]


def test_holders_are_in_order_of_distance() -> None:
    near = some("n1", "n2", "n3:0")
    assert [peer.node for peer in near.in_order] == ["n3", "n2", "n1"]
    assert (len(near), near.partial_count) == (3, 1)
    near.drop(near["n2"])
    near.drop(near["n3"])
    assert [peer.node for peer in near.in_order] == ["n1"]
    assert (len(near), near.partial_count, near.get("n2")) == (1, 0, None)


def test_the_nearest_who_have_something_come_first() -> None:
    near = some("n1:12", "n2", "n3:23", "n4:9")
    assert idle(near, "012") == "n3:2 n2:012 n1:12"
    assert [peer.node for peer in near.useful] == ["n3", "n2", "n1"]
    assert idle(near, "0") == "n2:0"
    assert [peer.node for peer in near.useful] == ["n2"]


def test_one_that_was_useless_is_useful_again_when_it_has_more() -> None:
    near = some("n1:1", "n2:2")
    assert idle(near, "3") == ""
    near.learn("n1", bits("13"), 0, is_whole=False)
    assert idle(near, "3") == "n1:3"
    near.learn("n2", ALL, 1, is_whole=True)
    assert idle(near, "3") == "n2:3 n1:3"
    assert near.partial_count == 1
    near.drop(near["n1"])
    assert idle(near, "3") == "n2:3"


# What replies take, from all holders together.


def test_a_short_reply_tells_nothing_of_long_ones() -> None:
    """100 bytes in 0.1 s would make 70 minutes of 4 MiB."""
    pace = Pace()
    pace.delivered(100, 0.1)
    assert (pace.is_known(10), pace.is_known(LONG_BYTES)) == (True, False)
    assert pace.least_s(LONG_BYTES) == 0
    assert pace.delivered(LONG_BYTES, 2.0)
    assert pace.is_known(LONG_BYTES)


def test_the_quickest_reply_counts() -> None:
    pace = Pace()
    for took_s in (4.0, 2.0, 8.0):
        pace.delivered(LONG_BYTES, took_s)
    assert pace.least_s(3 * LONG_BYTES) == 6.0

"""How many replies may be on their way at a time, and to whom."""

import math

import pytest
from shoal.node.serving import pacing
from shoal.node.serving.pacing import Pacing
from shoal.node.serving.steps import Source

MIB = 1 << 20
ONE, OTHER, NEWCOMER = (Source("10.0.0.1", number) for number in range(3))


class Link:
    """Replies that leave one after the other, as fast as a link takes them."""

    def __init__(self, bytes_per_s: float) -> None:
        self.now = 100.0
        self.pacing = Pacing()
        self._bytes_per_s = bytes_per_s
        self._number = 0

    def has_room(self, reserved: int = 0, *, for_known: bool = True) -> bool:
        return self.pacing.has_room_at(self.now, reserved, for_known=for_known) <= self.now

    def queue(self, size_bytes: int = MIB, asker: Source = ONE) -> int:
        self._number += 1
        self.pacing.queued(self._number, asker, size_bytes, self.now)
        return self._number

    def fill(self, size_bytes: int = MIB, asker: Source = ONE) -> int:
        """Queue replies while that is allowed; return how many are on their way then."""
        while self.has_room():
            self.queue(size_bytes, asker)
        return len(self.pacing.unsent)

    def send(self, size_bytes: int = MIB) -> None:
        """Have the oldest reply leave."""
        self.now += size_bytes / self._bytes_per_s
        self.pacing.left(self.pacing.unsent[0], self.now)

    def drain(self) -> None:
        while self.pacing.unsent:
            self.send()

    def go_on(self, count: int = 20, asker: Source = ONE) -> None:
        for _ in range(count):
            self.fill(asker=asker)
            self.send()


@pytest.mark.parametrize(
    ("size_kib", "replies"), [(1, 2), (64, 2), (128, 3), (192, 4), (256, 5), (384, 6), (4096, 6)]
)
def test_few_at_a_time_on_a_slow_link(size_kib: int, replies: int) -> None:
    link = Link(12.5e6)
    for _ in range(20):
        link.fill(size_kib << 10)
        link.send(size_kib << 10)
    assert link.fill(size_kib << 10) == replies


def test_more_at_a_time_on_a_quick_link() -> None:
    link = Link(1e9)
    link.go_on()
    assert link.fill() == pacing.QUICK_REPLIES


def test_keeps_room_for_replies_that_are_being_made() -> None:
    link = Link(1e9)
    for _ in range(pacing.QUICK_REPLIES - 2):
        link.queue()
    assert link.has_room(1)
    assert not link.has_room(2)
    assert link.pacing.has_room_at(link.now, 100, for_known=True) == math.inf


def test_a_receiver_that_does_not_read_holds_nobody_up() -> None:
    link = Link(12.5e6)
    link.go_on()
    stuck = link.fill()
    link.now += 60
    assert link.fill() > stuck


def test_who_does_not_read_gets_no_more_until_it_has() -> None:
    link = Link(12.5e6)
    link.go_on()
    number = link.queue(asker=OTHER)
    assert link.pacing.may_have(OTHER, link.now)
    link.now += 60
    assert not link.pacing.may_have(OTHER, link.now)
    assert link.pacing.may_have(NEWCOMER, link.now)
    assert link.pacing.left(number, link.now) == OTHER
    assert link.pacing.may_have(OTHER, link.now)


def test_what_is_on_its_way_to_slow_askers_does_not_count() -> None:
    link = Link(1e9)
    link.go_on()
    link.drain()
    slow = [Source("10.0.0.2", number) for number in range(20)]
    numbers = [link.queue(asker=asker) for asker in slow]
    link.now += 60
    for number in numbers:
        link.pacing.left(number, link.now)
    link.go_on()
    link.drain()
    for asker in slow:
        link.queue(asker=asker)
        assert not link.pacing.may_have(asker, link.now)
    assert link.fill() == len(slow) + pacing.QUICK_REPLIES


def test_who_is_new_does_not_wait_for_askers_that_are_all_slow() -> None:
    """Nobody can tell them from a slow link until somebody else has tried it."""
    link = Link(2e4)
    link.go_on()
    link.fill()
    rooms = [link.has_room(for_known=known) for known in (True, False)]
    assert rooms == [False, True]
    number = link.queue(asker=NEWCOMER)
    assert not link.pacing.is_known(NEWCOMER)
    link.now += 0.001
    link.pacing.left(number, link.now)
    assert link.pacing.is_known(NEWCOMER)
    assert link.has_room()  # So it is they who are slow.


def test_newcomers_that_do_not_read_keep_others_for_a_moment_only() -> None:
    link = Link(2e4)
    for _ in range(20):
        link.fill()
        link.send()
    while link.has_room(for_known=False):
        link.queue(asker=Source("10.0.0.2", link.now))
    link.now += pacing.STUCK_MOST_S
    assert link.has_room(for_known=False)


def test_says_when_receivers_leave_too_much_unread_and_who_for_longest() -> None:
    link = Link(1e9)
    link.queue(asker=OTHER)
    seen = []
    for _ in range(pacing.MAX_UNSENT_BYTES // MIB):
        seen.append(link.pacing.is_overfull)
        link.queue()
    assert not any(seen)
    seen = [link.pacing.is_overfull, link.pacing.stalest == OTHER]
    link.send()
    assert [*seen, link.pacing.is_overfull, link.pacing.stalest == ONE] == [True, True, False, True]


def test_remembers_only_so_many_askers() -> None:
    link = Link(1e9)
    for number in range(5000):
        link.queue(asker=Source("10.0.0.3", number))
        link.send()
    assert len(link.pacing._askers) <= pacing.MOST_IDLE_ASKERS + 1
    link.now += 1e9
    assert link.pacing.is_known(Source("10.0.0.3", 4999))

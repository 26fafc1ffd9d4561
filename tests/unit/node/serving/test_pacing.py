"""How many replies may be on their way at a time."""

import pytest
from shoal.node.serving import pacing
from shoal.node.serving.pacing import Pacing

MIB = 1 << 20


class Link:
    """Replies that leave one after the other, as fast as a link takes them."""

    def __init__(self, bytes_per_s: float) -> None:
        self.now = 100.0
        self.pacing = Pacing()
        self._bytes_per_s = bytes_per_s
        self._number = 0

    def fill(self, size_bytes: int = MIB) -> int:
        """Queue replies while that is allowed; return how many are on their way then."""
        while self.pacing.has_room_at <= self.now:
            self._number += 1
            self.pacing.queued(self._number, size_bytes, self.now)
        return len(self.pacing.unsent)

    def send(self, size_bytes: int = MIB) -> None:
        """Have the oldest reply leave."""
        self.now += size_bytes / self._bytes_per_s
        self.pacing.left(self.pacing.unsent[0], self.now)


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
    for _ in range(20):
        link.fill()
        link.send()
    assert link.fill() == pacing.QUICK_REPLIES


def test_a_receiver_that_does_not_read_holds_nobody_up() -> None:
    link = Link(12.5e6)
    for _ in range(20):
        link.fill()
        link.send()
    stuck = link.fill()
    link.now += 60
    assert link.fill() > stuck


def test_says_when_receivers_leave_too_much_unread() -> None:
    link = Link(1e9)
    while not link.pacing.is_overfull:
        link.now += 60
        link.fill()
    assert len(link.pacing.unsent) * MIB > pacing.MAX_UNSENT_BYTES
    for _ in range(pacing.QUICK_REPLIES):
        link.send()
    assert not link.pacing.is_overfull

"""Replies on their way: few at a time over a slow link, and nobody waits for the stuck."""

from node.pacing import MAX_UNSENT_BYTES, QUICK_REPLIES, SLOW_REPLIES, STUCK_LEAST_S, Pacing

CHUNK_BYTES = 256 << 10


def made_in_a_row(pacing: Pacing, first: int, now: float) -> int:
    """Return how many replies are made before the pacing says to wait."""
    number = first
    while pacing.allows(now) and number < first + 100:
        pacing.queued(number, CHUNK_BYTES, now)
        number += 1
    return number - first


def after_a_link_of(bytes_per_s: float) -> tuple[Pacing, float]:
    """Return a pacing that has seen 50 replies leave over such a link, and the time."""
    pacing, now = Pacing(), 0.0
    for number in range(50):
        pacing.queued(number, CHUNK_BYTES, now)
        now += CHUNK_BYTES / bytes_per_s
        pacing.left(number, now)
    return pacing, now


def test_a_quick_link_takes_several_replies_at_a_time() -> None:
    pacing, now = after_a_link_of(1e9)
    assert made_in_a_row(pacing, 1000, now) == QUICK_REPLIES


def test_a_slow_link_takes_two_at_a_time() -> None:
    pacing, now = after_a_link_of(12.5e6)
    assert made_in_a_row(pacing, 1000, now) == SLOW_REPLIES


def test_the_next_reply_may_be_made_when_one_has_left() -> None:
    pacing, now = after_a_link_of(12.5e6)
    made_in_a_row(pacing, 1000, now)
    pacing.left(1000, now + 0.02)
    assert made_in_a_row(pacing, 2000, now + 0.02) == 1


def test_idle_time_does_not_make_a_link_slow() -> None:
    pacing, now = Pacing(), 0.0
    for number in range(50):
        pacing.queued(number, CHUNK_BYTES, now)
        pacing.left(number, now + 0.0005)
        now += 60.0
    assert made_in_a_row(pacing, 1000, now) == QUICK_REPLIES


def test_a_receiver_that_is_stuck_holds_nobody_up() -> None:
    pacing, now = after_a_link_of(12.5e6)
    made_in_a_row(pacing, 1000, now)
    later = now + 10 * STUCK_LEAST_S
    assert pacing.allows(later)
    assert pacing.unsent == [1000, 1001]


def test_what_is_left_unread_is_bounded() -> None:
    pacing, number = Pacing(), 0
    while not pacing.is_overfull:
        pacing.queued(number, CHUNK_BYTES, 0.0)
        number += 1
    assert number * CHUNK_BYTES <= MAX_UNSENT_BYTES + CHUNK_BYTES
    pacing.left(0, 1.0)
    assert not pacing.is_overfull

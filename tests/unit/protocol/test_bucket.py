"""How many bytes a bucket lets pass in which time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol.bucket import BURST_S, Bucket


def passed(bucket: Bucket, sizes: list[int], until: float, late_s: float = 0.0) -> int:
    """Let things pass one after the other, as soon as they may, and a bit late; return the sum."""
    now, total = 0.0, 0
    for size in sizes:
        now = max(now, bucket.ready_at(now)) + late_s
        if now > until:
            break
        bucket.take(size, now)
        total += size
    return total


def test_without_a_rate_anything_may_pass_at_any_time() -> None:
    bucket = Bucket()
    bucket.take(10**12, 1.0)
    bucket.give_back(5)
    assert bucket.ready_at(1.0) == -math.inf
    assert bucket.rate is None


@pytest.mark.parametrize("late_s", [0.0, 0.002, BURST_S / 2])
def test_the_rate_holds_on_average_even_if_all_are_late(late_s: float) -> None:
    total = passed(Bucket(1000), [10] * 5000, 10.0, 0.0 if late_s > 0.01 else late_s)
    assert 0.99 * 10_000 <= total <= 10_000 + 1000 * BURST_S + 10


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=200), st.integers(100, 10_000))
def test_never_exceeds_the_rate_by_more_than_a_burst_and_one_thing(
    sizes: list[int], rate: int
) -> None:
    until = 3.0
    assert passed(Bucket(rate), sizes, until) <= rate * (until + BURST_S) + max(sizes) + 1


def test_what_was_not_used_for_long_is_lost() -> None:
    bucket = Bucket(1000)
    bucket.take(1, 100.0)
    bucket.take(100, 200.0)
    assert bucket.ready_at(200.0) == pytest.approx(200.0 - BURST_S + 0.1)


def test_what_did_not_pass_is_given_back() -> None:
    bucket = Bucket(1000)
    bucket.take(1000, 0.0)
    bucket.give_back(400)
    assert bucket.ready_at(0.0) == pytest.approx(0.6 - BURST_S)


def test_debts_are_paid_at_the_rate_as_of_now() -> None:
    bucket = Bucket(1000)
    bucket.take(1050, 0.0)
    bucket.set_rate(100, 0.5)
    assert bucket.ready_at(0.5) == pytest.approx(5.5)
    bucket.set_rate(200, 0.5)
    assert bucket.ready_at(0.5) == pytest.approx(3.0)
    bucket.set_rate(None, 0.5)
    assert bucket.ready_at(0.5) == -math.inf
    bucket.set_rate(10, 0.5)
    assert bucket.ready_at(0.5) == -math.inf
    bucket.take(1, 0.5)
    bucket.set_rate(20, 9.0)
    assert bucket.ready_at(9.0) < 9.0


def test_what_was_not_used_at_a_lower_rate_is_no_more_at_a_higher_one() -> None:
    bucket = Bucket(100)
    bucket.set_rate(1000, 10.0)
    bucket.take(10, 10.0)
    assert bucket.ready_at(10.0) == pytest.approx(10.0 + (10 - 100 * BURST_S) / 1000)

"""The meter by which rates are judged allows what a bucket does, and finds one that allows more."""

import pytest
from shoal.protocol.bucket import Bucket

from tests.simulation.faults.limits import LATE_S, Meter

RATE = 100_000
CHUNK = 1_000


def excess(allowed: int, looks: tuple[float, ...], begins: float) -> float:
    """Return what is too much, in bytes, if a bucket allows so much where RATE is the limit.

    There was no limit until the first of `looks`. Something small passes at each of them, and
    from `begins` on as much as the bucket lets pass.
    """
    meter, bucket, most = Meter(), Bucket(), 0.0
    meter.allow(None, 0.0)
    bucket.set_rate(allowed, looks[0])

    def passes(size_bytes: int, now: float) -> float:
        debt_bytes = meter.allow(RATE, now)
        meter.passes(size_bytes)
        bucket.take(size_bytes, now)
        return debt_bytes - meter.largest_bytes

    for at in looks:
        passes(1, at)
    for now in (begins + tick / 1000 for tick in range(2000)):
        while bucket.ready_at(now) <= now:
            most = max(most, passes(CHUNK, now))
    return most


LOOKS = [
    ((10.0,), 10.0),
    ((10.0,), 10.0 + LATE_S / 2),
    ((10.0,), 10.0 + 1.5 * LATE_S),
    ((10.0, 10.0 + 1.5 * LATE_S), 10.0 + 1.5 * LATE_S),
    ((10.0, 10.0 + 1.5 * LATE_S), 10.0 + 3 * LATE_S),
]


@pytest.mark.parametrize(("looks", "begins"), LOOKS)
def test_a_bucket_that_just_got_a_limit_is_full(looks: tuple[float, ...], begins: float) -> None:
    assert excess(RATE, looks, begins) <= 0


@pytest.mark.parametrize(("looks", "begins"), LOOKS)
def test_one_that_allows_a_tenth_more_is_found(looks: tuple[float, ...], begins: float) -> None:
    assert excess(RATE * 11 // 10, looks, begins) > 0

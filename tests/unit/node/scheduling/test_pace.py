"""What replies take, from all holders together."""

import math

from shoal.node.scheduling.pace import LONG_BYTES, Pace


def test_knows_nothing_before_the_first_reply() -> None:
    pace = Pace()
    assert pace.usual_s == math.inf
    assert (pace.is_known(10), pace.is_known(LONG_BYTES)) == (False, False)
    assert pace.least_s(LONG_BYTES) == 0


def test_what_is_usual_follows_slowly() -> None:
    pace = Pace()
    assert pace.delivered(10, 1.0)
    assert not pace.delivered(10, 17.0)
    assert pace.usual_s == 2.0


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

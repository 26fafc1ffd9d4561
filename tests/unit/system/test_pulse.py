"""A loop's sign of life."""

from shoal.system.pulse import Pulse


def test_a_loop_that_waits_may_take_as_long_as_it_likes() -> None:
    pulse = Pulse()
    assert pulse.working_s(1000.0) == 0
    pulse.since = 1000.0
    assert pulse.working_s(1007.5) == 7.5
    assert pulse.working_s(999.0) == 0
    pulse.rest()
    assert pulse.working_s(2000.0) == 0

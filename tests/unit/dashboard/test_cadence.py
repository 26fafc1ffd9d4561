"""How often to ask."""

import time

from shoal.dashboard.cadence import AWAY_S, Cadence


def test_asks_at_once_and_then_not_before_its_time() -> None:
    cadence = Cadence(least_s=1.0, share=0.1)
    assert cadence.is_due(0.0)
    cadence.answered(10.0, 10.01)
    assert cadence.due == 11.0
    assert not cadence.is_due(10.9)


def test_what_takes_long_is_asked_rarely() -> None:
    cadence = Cadence(least_s=1.0, share=0.1)
    cadence.answered(10.0, 12.0)
    assert cadence.due == 32.0


def test_takes_the_time_of_a_question() -> None:
    cadence = Cadence(least_s=50.0, share=0.1)
    with cadence.timed():
        pass
    assert cadence.due > time.monotonic() + 40


def test_tries_again_soon_after_a_failure() -> None:
    cadence = Cadence(least_s=50.0, share=0.1)
    cadence.failed(10.0)
    assert cadence.due == 10.0 + AWAY_S

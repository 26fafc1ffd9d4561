"""How often a thing that keeps changing is hashed."""

from shoal.node.folder.cadence import FIRST_S, MOST_S, QUIET, Cadence


def hashed_until(end: float, took_s: float = 0.0) -> list[float]:
    """Return when something is hashed that changes all the time."""
    cadence, times, now = Cadence(), [], 0.0
    while now < end:
        cadence.hashed("a", now, took_s)
        times.append(now)
        now = cadence.due("a")
    return times


def test_what_is_new_is_hashed_at_once() -> None:
    cadence = Cadence()
    cadence.hashed("a", 100.0, 0.0)
    assert cadence.due("b") < 100.0


def test_what_changes_all_the_time_is_hashed_less_and_less_often() -> None:
    assert hashed_until(30.0) == [0.0, 1.0, 3.0, 7.0, 15.0]
    times = hashed_until(10 * MOST_S)
    assert times[-1] - times[-2] == MOST_S


def test_what_was_quiet_for_long_is_hashed_soon_again() -> None:
    cadence = Cadence()
    for now in (0.0, 1.0, 3.0):
        cadence.hashed("a", now, 0.0)
    assert cadence.due("a") == 7.0
    cadence.hashed("a", 3.0 + QUIET * 4.0, 0.0)
    assert cadence.due("a") == 3.0 + QUIET * 4.0 + FIRST_S


def test_what_takes_long_is_not_hashed_all_the_time() -> None:
    assert hashed_until(200.0, took_s=60.0) == [0.0, 60.0, 180.0]


def test_what_has_gone_or_been_quiet_is_forgotten() -> None:
    cadence = Cadence()
    for number in range(1000):
        cadence.hashed(f"{number}", 100.0 * number, 0.0)
    assert len(cadence._paces) < 10
    cadence.hashed("a", 0.0, 0.0)
    cadence.gone("a")
    cadence.gone("a")
    assert cadence.due("a") < 0.0

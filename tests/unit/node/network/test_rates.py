"""The limits of a node as of now, and the bucket that its fetches share."""

import math
import threading

import pytest
from shoal.node.network.rates import LOOK_S, RateLimits, Rates, minute_of_day
from shoal.node.serving import borrowing
from shoal.node.serving.background import SAMPLE_S, START, Sample
from shoal.node.serving.borrowing import MOST
from shoal.protocol.bucket import BURST_S
from shoal.protocol.rates import Timetable, hours

DAY = Timetable(None, (hours("08:00-18:00", 1000),))


def test_the_clock_on_the_wall_decides_and_is_not_looked_at_each_time() -> None:
    minutes = iter([0, 8 * 60, 20 * 60])
    rates = Rates(RateLimits(up=DAY), lambda: next(minutes))
    assert rates.up(0.0) == 1000
    assert rates.up(LOOK_S / 2) == 1000
    assert rates.up(LOOK_S) is None


def test_other_limits_hold_at_once() -> None:
    rates = Rates()
    assert rates.up(0.0) is None
    assert rates.down.ready_at(0.0) < 0.0
    rates.set(RateLimits(Timetable(5), Timetable(7)))
    assert rates.up(0.0) == 5
    rates.down.ready_at(0.0)
    assert rates.down.rate == 7


def test_what_is_lent_bounds_what_is_sent_as_well() -> None:
    rates = Rates(RateLimits(up=Timetable(500_000), part=200_000))
    assert rates.up(0.0) == 200_000
    rates.lent(400_000, 0.0)
    assert rates.up(0.0) == 400_000
    rates.lent(600_000, 0.0)
    assert rates.up(0.0) == 500_000
    rates.lent(None, 0.0)
    rates.set(RateLimits())
    assert rates.up(0.0) is None


def test_a_stricter_part_holds_at_once_and_the_tracker_is_asked_what_it_lends() -> None:
    rates = Rates(RateLimits(part=200_000))
    told: list[int] = []
    rates.on_wants = lambda: told.append(rates.wants)
    rates.lent(600_000, 0.0)
    rates.set(RateLimits(part=200_000))
    assert (rates.up(0.0), told) == (600_000, [])
    rates.set(RateLimits(part=100_000))
    assert (rates.up(0.0), told) == (100_000, [0])


def test_tells_when_the_node_wants_something_else() -> None:
    rates = Rates()
    told: list[int] = []
    rates.on_wants = lambda: told.append(rates.wants)
    assert rates.patience_s == math.inf
    for count in range(20):
        rates.sent(count * 1_000_000, float(count), is_busy=True)
    assert told == [MOST]
    assert rates.patience_s == borrowing.LOOK_S
    rates.sent(19_000_000, 30.0, is_busy=False)
    assert told == [MOST, 0]


def test_without_anybody_to_tell_nothing_happens() -> None:
    rates = Rates()
    for count in range(3):
        rates.sent(count, float(count), is_busy=True)
    assert rates.wants == MOST


def test_in_the_background_the_kernel_has_a_pace_and_the_budget_is_as_before() -> None:
    rates = Rates(RateLimits(up=Timetable(2_000_000), background=True))
    assert rates.up(0.0) == 2_000_000
    assert rates.pace() == START
    assert rates.wants_samples(0.0)
    rates.sampled([Sample("10.0.0.1", 0.001, 1e6)], 0.0)
    assert not rates.wants_samples(SAMPLE_S / 2)
    assert list(rates.to_hosts()) == ["10.0.0.1"]
    before = rates._background
    rates.set(RateLimits(background=True))
    assert rates._background is before


def test_background_mode_begins_and_ends_while_a_node_runs() -> None:
    rates = Rates()
    assert not rates.wants_samples(0.0)
    assert (rates.pace(), rates.to_hosts()) == (None, {})
    rates.set(RateLimits(background=True))
    assert rates.pace() == START
    rates.set(RateLimits())
    rates.sampled([Sample("10.0.0.1", 0.001, 1e6)], 0.0)
    assert (rates.pace(), rates.to_hosts()) == (None, {})


def test_all_fetches_share_one_bucket() -> None:
    bucket = Rates(RateLimits(down=Timetable(1_000_000))).down
    bucket.ready_at(0.0)

    def take() -> None:
        for _ in range(2000):
            bucket.take(500, 0.0)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    bucket.give_back(1_000_000)
    assert bucket.ready_at(0.0) == pytest.approx(3.0 - BURST_S)


def test_a_minute_of_the_day_is_one() -> None:
    assert 0 <= minute_of_day() < 1440

"""How fast to send so that nobody notices: by how long what is sent waits."""

import itertools
import math

import pytest
from shoal.node.serving import background
from shoal.node.serving.background import (
    DRAIN_EVERY_S,
    DRAIN_S,
    IDLE_S,
    LEAST,
    LEAST_SHARE,
    MOST_HOSTS,
    SAMPLE_S,
    START,
    TARGET_S,
    WINDOW_S,
    Background,
    Controller,
    Least,
    Sample,
    unsmoothed,
)


class Queue:
    """A controller that is told the same again and again."""

    def __init__(self) -> None:
        self.controller = Controller()
        self.now = 0.0

    def waits(
        self, queue_s: float, samples: int, share: float = 1.0, *, is_unsure: bool = False
    ) -> list[int]:
        """Let what is sent wait so long; `share` of it arrives. Return the rates."""
        rates = []
        for _ in range(samples):
            self.now += SAMPLE_S
            delivered = share * self.controller.rate
            found = self.controller.update(queue_s, delivered, self.now, is_unsure=is_unsure)
            rates.append(found)
        return rates


def test_without_a_queue_the_rate_grows_and_then_faster() -> None:
    rates = [START, *Queue().waits(0.0, 8)]
    growth = [after / before for before, after in itertools.pairwise(rates)]
    assert growth[1] == pytest.approx(1 + background.GAIN, rel=0.01)
    assert growth[-1] == pytest.approx(1 + background.FAST_GAIN, rel=0.01)


def test_with_a_long_queue_it_falls_to_what_is_least() -> None:
    queue = Queue()
    queue.waits(0.0, 20)
    assert queue.waits(0.04, 1)[0] < 0.75 * queue.controller.rate / 0.7 * 1.01
    best = queue.controller._best
    assert queue.waits(0.04, 40)[-1] == pytest.approx(LEAST_SHARE * best, rel=0.05)
    assert Controller().update(1.0, 0.0, 0.0, is_unsure=False) >= LEAST


def test_at_the_target_it_stays() -> None:
    queue = Queue()
    before = queue.waits(TARGET_S, 5)
    assert before[-1] == pytest.approx(START, rel=0.01)


def test_what_is_not_used_does_not_grow() -> None:
    assert Queue().waits(0.0, 20, share=0.1)[-1] == START


def test_a_cut_begins_at_what_really_arrives() -> None:
    queue = Queue()
    queue.waits(0.0, 40)
    grown = queue.controller.rate
    assert queue.waits(0.01, 1, share=0.1)[0] < 0.25 * grown


def test_after_a_pause_it_begins_anew() -> None:
    queue = Queue()
    queue.waits(0.0, 40)
    assert queue.controller.rate > 2 * START
    queue.now += IDLE_S
    assert queue.waits(TARGET_S, 1, share=1e-4)[0] == pytest.approx(START, rel=0.01)


def test_what_comes_seldom_counts_for_more() -> None:
    often, seldom = Queue(), Queue()
    often.waits(0.0, 12)
    for _ in range(6):
        seldom.now += SAMPLE_S
        seldom.waits(0.0, 1)
    assert seldom.controller.rate > 0.6 * often.controller.rate


def test_now_and_then_it_sends_less_if_nobody_knows_the_way_any_more() -> None:
    queue = Queue()
    queue.waits(TARGET_S, int(DRAIN_EVERY_S / SAMPLE_S))
    rates = queue.waits(TARGET_S, 20, is_unsure=True)
    drained = [rate for rate in rates if rate <= START // 2 + 1]
    assert 2 <= len(drained) <= DRAIN_S / SAMPLE_S + 1


def test_the_shortest_round_trip_ages() -> None:
    least = Least()
    assert least.queue_s(0.010, 0.0) == 0.0
    assert least.queue_s(0.001, 1.0) == 0.0
    assert least.queue_s(0.010, 2.0) == pytest.approx(0.009)
    assert least.queue_s(0.010, WINDOW_S + 1) == pytest.approx(0.009)
    assert least.queue_s(0.010, 2 * WINDOW_S + 2) == 0.0


def test_after_a_long_pause_the_way_is_another_one() -> None:
    least = Least()
    least.queue_s(0.001, 0.0)
    assert least.queue_s(0.020, 10 * WINDOW_S) == 0.0


def test_it_is_unsure_if_it_has_not_seen_the_shortest_again() -> None:
    least = Least()
    least.queue_s(0.001, 0.0)
    least.queue_s(0.010, DRAIN_EVERY_S - 1)
    assert not least.is_unsure(DRAIN_EVERY_S - 1)
    assert least.is_unsure(DRAIN_EVERY_S)
    least.queue_s(0.0015, DRAIN_EVERY_S)
    assert not least.is_unsure(DRAIN_EVERY_S)


def sampled(found: Background, now: float, **round_trips_s: float) -> None:
    samples = [Sample(host, each, 5e6) for host, each in round_trips_s.items()]
    found.sampled(samples, now)


def test_a_host_whose_own_link_is_busy_gets_less_and_the_others_do_not() -> None:
    found = Background()
    for count in range(40):
        sampled(found, count * SAMPLE_S, a=0.001, b=0.001 if count < 20 else 0.05)
    rates = found.rates_to()
    assert rates["b"] < rates["a"] / 5
    assert found.rate > 5 * rates["b"]


def test_a_queue_that_all_wait_in_is_ours() -> None:
    found = Background()
    for count in range(40):
        sampled(found, count * SAMPLE_S, a=0.001, b=0.001)
    before = found.rate
    for count in range(40, 60):
        sampled(found, count * SAMPLE_S, a=0.05, b=0.04)
    assert found.rate < before / 5


def test_of_several_connections_to_a_host_the_quickest_counts() -> None:
    found = Background()
    for count in range(20):
        found.sampled([Sample("a", 0.05, 1e6), Sample("a", 0.001, 4e6)], count * SAMPLE_S)
    assert found.rates_to()["a"] > START


def test_without_samples_nothing_changes() -> None:
    found = Background()
    found.sampled([], 0.0)
    assert (found.rate, found.rates_to()) == (START, {})


def test_not_all_hosts_are_remembered() -> None:
    found = Background()
    found.sampled([Sample(f"{one}", 0.001, 1e6) for one in range(MOST_HOSTS + 3)], 0.0)
    assert len(found.rates_to()) == MOST_HOSTS
    assert "0" not in found.rates_to()


def test_an_average_tells_what_the_latest_round_trips_were() -> None:
    average = 0.010 + (0.002 - 0.010) / 8
    assert unsmoothed(0.010, average, 1) == pytest.approx(0.002)
    assert unsmoothed(0.010, 0.002, 10**7) == pytest.approx(0.002)
    assert unsmoothed(0.010, 0.001, 1) == 0.0
    assert not math.isnan(unsmoothed(0.0, 0.0, 1))

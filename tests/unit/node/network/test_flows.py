"""What is made of what the kernel counts."""

import pytest
from shoal.node.network.flows import Flows
from shoal.node.serving.steps import Source

A, B = Source("10.0.0.1", 1), Source("10.0.0.2", 2)


class Gauge(dict[Source, tuple[float, int]]):
    def flow(self, source: Source) -> tuple[float, int] | None:
        return self.get(source)


def test_counts_become_rates() -> None:
    flows, gauge = Flows(), Gauge({A: (0.001, 1000), B: (0.002, 500)})
    assert flows.samples(gauge, [A, B], 1.0) == []
    gauge[A] = 0.001, 3000
    (sample,) = flows.samples(gauge, [A, B], 2.0)
    assert (sample.host, sample.delivered) == ("10.0.0.1", 2000)
    assert sample.round_trip_s == pytest.approx(0.001)


def test_what_arrives_seldom_is_counted_since_it_last_did() -> None:
    flows, gauge = Flows(), Gauge({A: (0.001, 0)})
    for now in (1.0, 2.0, 3.0):
        assert flows.samples(gauge, [A], now) == []
    gauge[A] = 0.001, 4000
    (sample,) = flows.samples(gauge, [A], 5.0)
    assert (sample.host, sample.delivered) == ("10.0.0.1", 1000)


def test_one_that_is_gone_is_forgotten() -> None:
    flows, gauge = Flows(), Gauge({A: (0.001, 0)})
    flows.samples(gauge, [A], 1.0)
    assert flows.samples(gauge, [B], 2.0) == []
    gauge[A] = 0.001, 4000
    assert flows.samples(gauge, [A], 3.0) == []

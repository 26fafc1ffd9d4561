"""How much each holder may have on its way: the rate is what arrives in spans of 0.25 s."""

import pytest
from shoal.node.fetching.inflow import LONG_BYTES, LONG_WINDOW_BYTES, WINDOW_BYTES, Inflow

MBIT = 125_000.0


def an_inflow(rate: float, seconds: float = 1.0) -> Inflow:
    inflow = Inflow()
    for step in range(int(seconds / 0.01) + 1):
        inflow.arrived(int(rate * 0.01), 5 + step * 0.01)
    return inflow


@pytest.mark.parametrize("rate", [1 * MBIT, 100 * MBIT, 2000 * MBIT])
def test_measures_the_rate(rate: float) -> None:
    assert an_inflow(rate).best_rate == pytest.approx(rate, rel=0.05)


def test_the_best_span_counts() -> None:
    inflow = an_inflow(100 * MBIT)
    inflow.arrived(1, 9)
    assert inflow.best_rate == pytest.approx(100 * MBIT, rel=0.05)


def test_bounds_many_holders_over_a_slow_link() -> None:
    assert an_inflow(100 * MBIT).window_bytes(16, 0.0002) == WINDOW_BYTES


def test_bounds_long_chunks_more() -> None:
    inflow = an_inflow(100 * MBIT)
    inflow.arrived(LONG_BYTES + 1, 6.5)
    assert inflow.window_bytes(16, 0.0002) == LONG_WINDOW_BYTES < WINDOW_BYTES


@pytest.mark.parametrize(
    ("rate", "seconds", "holders"), [(100, 0.2, 16), (100, 1, 3), (1000, 1, 16)]
)
def test_leaves_it_to_tcp(rate: float, seconds: float, holders: int) -> None:
    """Before the rate is known, with few holders, and over quick links."""
    assert an_inflow(rate * MBIT, seconds).window_bytes(holders, 0.0002) is None


def test_one_holder_alone_can_fill_a_long_link() -> None:
    window_bytes = an_inflow(100 * MBIT).window_bytes(8, 0.05)
    assert window_bytes == pytest.approx(2 * 100 * MBIT * 0.05, rel=0.05)

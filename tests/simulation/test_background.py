"""Nodes in background mode beside ordinary TCP, on links of several rates."""

import random

import pytest

from tests.simulation.background import Link, Node, Scene

MEGABIT = 125e3


def scene(mbit: float, nodes: int = 1) -> Scene:
    rng = random.Random(1)

    def noise() -> float:
        return rng.uniform(0.0, 0.001)

    return Scene(Link(mbit * MEGABIT), [Node(f"n{one}", noise) for one in range(nodes)])


@pytest.mark.parametrize(("mbit", "nodes"), [(20, 1), (100, 1), (100, 16), (1000, 4)])
def test_an_idle_link_is_used_and_ordinary_tcp_keeps_its_link(mbit: float, nodes: int) -> None:
    found = scene(mbit, nodes)
    found.run(3.0)
    assert found.run(10.0)[1] >= 0.9
    found.tcp.is_on = True
    found.run(2.0)
    assert found.run(5.0)[0] >= 0.9
    found.tcp.is_on = False
    found.run(3.0)
    assert found.run(0.5)[1] >= 0.8


def test_the_shortest_round_trip_is_not_forgotten_where_nobody_pauses() -> None:
    """Our own queue would seem to be the way after two minutes, and would grow without end."""
    found = scene(100)
    found.run(240.0)
    assert found.run(10.0)[1] >= 0.9
    assert found.link.queue_bytes < found.link.most_bytes / 2

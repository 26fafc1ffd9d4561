"""Who is served how often, when everybody always has a request waiting."""

import collections
import itertools

import pytest
from shoal.node.serving.steps import Source
from shoal.node.serving.turns import MOST_IN_ROUND, Turns

from tests.unit.node.things import rng

ROUNDS = 2000


def served(*askers: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Have `address/node` ask in turn, each over a connection of his; return each one's share."""
    turns = Turns(rng())
    counts: collections.Counter[str] = collections.Counter()
    for _ in range(rounds):
        for number, asker in enumerate(askers):
            address, node = asker.split("/")
            counts[asker] += turns.has_turn(Source(address, str(number)), node)
    return {asker: counts[asker] / counts.total() for asker in counts}


def about(share: float) -> object:
    return pytest.approx(share, rel=0.1)


def test_all_are_served_when_each_has_one_connection() -> None:
    turns = Turns(rng())
    askers = [(Source(f"10.0.0.{number}", "7"), f"n{number}") for number in range(5)]
    assert all(turns.has_turn(*asker) for _ in range(ROUNDS) for asker in askers)


@pytest.mark.parametrize("address", ["10.0.0.1", "10.0.0.2"])
def test_many_connections_get_no_more_than_one(address: str) -> None:
    shares = served(*["10.0.0.1/greedy"] * 15, f"{address}/modest")
    assert shares == {"10.0.0.1/greedy": about(0.5), f"{address}/modest": about(0.5)}


def test_many_names_of_one_host_get_no_more_than_another_host() -> None:
    """An address cannot be made up, a name can."""
    shares = served(*(f"10.0.0.1/n{number}" for number in range(15)), "10.0.0.2/modest")
    assert shares.pop("10.0.0.2/modest") == about(0.5)
    assert sum(shares.values()) == about(0.5)


def test_a_host_s_share_is_shared_by_its_nodes() -> None:
    shares = served(*["10.0.0.1/n1"] * 6, "10.0.0.1/n2", "10.0.0.2/n3")
    assert shares == {
        "10.0.0.1/n1": about(0.25),
        "10.0.0.1/n2": about(0.25),
        "10.0.0.2/n3": about(0.5),
    }


def test_all_are_served_when_all_have_as_many_connections() -> None:
    turns = Turns(rng())
    for _ in range(ROUNDS):
        for node, connection in itertools.product(("n1", "n2"), ("7", "8", "9")):
            assert turns.has_turn(Source(node, connection), node)


def test_nobody_waits_for_one_who_asks_now_and_then() -> None:
    """All but one round in ten are his who has many connections, and he is served in nearly all."""
    turns = Turns(rng())
    greedy = [Source("10.0.0.1", str(number)) for number in range(15)]
    served = 0
    for number in range(ROUNDS):
        served += sum(turns.has_turn(source, "greedy") for source in greedy)
        if number % 10 == 0:
            assert turns.has_turn(Source("10.0.0.2", "7"), "modest")
    assert served / (ROUNDS * len(greedy)) > 0.85


def test_a_new_connection_for_each_request_brings_nothing() -> None:
    turns, numbers = Turns(rng()), itertools.count()
    counts: collections.Counter[str] = collections.Counter()
    for _ in range(ROUNDS):
        for _ in range(15):
            counts["greedy"] += turns.has_turn(Source("10.0.0.1", str(next(numbers))), "greedy")
        counts["modest"] += turns.has_turn(Source("10.0.0.2", "7"), "modest")
    assert counts["greedy"] == pytest.approx(counts["modest"], rel=0.1)


def test_a_new_name_for_each_request_brings_nothing() -> None:
    turns, numbers = Turns(rng()), itertools.count()
    counts: collections.Counter[str] = collections.Counter()
    for _ in range(ROUNDS):
        for connection in range(15):
            name = f"n{next(numbers)}"
            counts["greedy"] += turns.has_turn(Source("10.0.0.1", str(connection)), name)
        counts["modest"] += turns.has_turn(Source("10.0.0.2", "7"), "modest")
    assert counts["greedy"] == pytest.approx(counts["modest"], rel=0.15)


def test_one_connection_alone_is_served_whatever_it_calls_itself() -> None:
    turns = Turns(rng())
    assert all(turns.has_turn(Source("10.0.0.1", "7"), f"n{name}") for name in range(ROUNDS))


def test_remembers_only_so_many_connections() -> None:
    turns = Turns(rng())
    for number in range(10 * MOST_IN_ROUND):
        turns.has_turn(Source(f"a{number}", "7"), "n1")
        assert len(turns._coming) <= MOST_IN_ROUND
        assert len(turns._last) <= MOST_IN_ROUND

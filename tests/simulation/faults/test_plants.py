"""The checkers bite: each of these faults in the product is found, and by the right checker."""

import pytest

from tests.simulation.faults.asked import outcomes
from tests.simulation.faults.plants import PLANTS

MOST_SEEDS = 40
AT_A_TIME = 4


@pytest.mark.parametrize("name", PLANTS, ids=lambda name: name.replace(" ", "-"))
def test_a_planted_fault_is_found(name: str) -> None:
    start = PLANTS[name].first
    for first in range(start, start + MOST_SEEDS, AT_A_TIME):
        told = outcomes(first, AT_A_TIME, "--plant", name)
        found = next((one.finding for one in told if one.finding is not None), None)
        if found is not None:
            assert found.split(":")[0] in PLANTS[name].checkers, found
            return
    pytest.fail(f"{name}: not found in {MOST_SEEDS} seeds")


def test_each_checker_finds_one() -> None:
    found = set().union(*(plant.checkers for plant in PLANTS.values()))
    assert found >= {
        *("bytes", "early", "user's own", "newest", "expired", "accounted", "duplicates"),
        *("banned", "deadlock", "liveness", "memory", "exceptions", "left open"),
        *("wishes", "cancelled", "unasked", "verdicts", "let in", "in another's name", "rates"),
        *("agreement", "numbers", "stale", "failover"),
        *("linked", "read", "given up"),
    }

"""How far from each other two nodes are: alike for both, and without groups."""

import collections

import pytest
from shoal.protocol.distance import distance


def test_the_distance_is_the_same_for_both_and_depends_on_both() -> None:
    assert distance("n1", "n2") == distance("n2", "n1")
    assert len({distance("n1", f"n{number}") for number in range(100)}) == 100


@pytest.mark.parametrize("count", [100, 300])
def test_each_is_among_the_nearest_of_about_as_many_as_are_among_his(count: int) -> None:
    """Else requests gather at few. With sums in place of hashes, whole groups had the same ones."""
    nodes = [f"host-{number}" for number in range(count)]
    asked: collections.Counter[str] = collections.Counter()
    mutual = 0
    nearest = {
        node: set(sorted(nodes, key=lambda other: distance(node, other))[:16]) for node in nodes
    }
    for node, others in nearest.items():
        asked.update(others)
        mutual += sum(node in nearest[other] for other in others)
    assert min(asked.values()) >= 5
    assert max(asked.values()) <= 30
    assert mutual > 0.7 * 16 * count
    shared = [len(nearest[one] & nearest[other]) for one in nodes[:20] for other in nodes[20:40]]
    assert max(shared) <= 9

"""Which holders are named, when there are too many."""

import statistics
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from shoal.broker.tracking import handout
from shoal.protocol.distance import distance
from shoal.protocol.messages import Holder

EVEN = {f"n{index}" for index in range(0, 120, 2)}


def holders(whole: int, partial: int) -> list[Holder]:
    return [
        Holder(f"n{index}", f"tcp://127.0.0.1:{11000 + index}", index < whole, alive=True)
        for index in range(whole + partial)
    ]


def chosen(whole: int, partial: int, *, count: int = 10) -> str:
    """Return how many whole and partial holders are chosen."""
    found = handout.choose(holders(whole, partial), count, None, (), Random(1))
    whole_count = sum(holder.complete for holder in found)
    return f"{whole_count} + {len(found) - whole_count}"


def test_names_all_if_they_are_few() -> None:
    assert chosen(4, 6) == "4 + 6"
    assert chosen(0, 2) == "0 + 2"


def test_prefers_whole_holders_but_always_names_some_partial_ones() -> None:
    assert chosen(1, 1000) == "1 + 9"
    assert chosen(1000, 1000) == "8 + 2"
    assert chosen(1000, 1) == "9 + 1"
    assert chosen(1000, 0) == "10 + 0"


def test_favours_those_near_without_excluding_those_far() -> None:
    count = Counter[bool]()
    for seed in range(200):
        found = handout.choose(
            holders(100, 0), 10, "me", {f"n{index}" for index in range(20)}, Random(seed)
        )
        near = sum(int(holder.node[1:]) < 20 for holder in found)
        assert near >= 5
        count[near < 10] += 1
    assert count[True] > 190


def test_names_those_far_where_few_are_near() -> None:
    found = handout.choose(holders(100, 0), 10, "me", {"n77"}, Random(1))
    assert "n77" in {holder.node for holder in found}
    assert len(found) == 10


def test_most_partial_holders_named_are_those_that_the_asker_asks_first() -> None:
    there = holders(0, 100)
    nearest = sorted((holder.node for holder in there), key=lambda node: distance("me", node))
    named = Counter[str]()
    for seed in range(100):
        found = handout.choose(there, 12, "me", (), Random(seed))
        named.update(holder.node for holder in found)
        assert {holder.node for holder in found} >= set(nearest[:9])
    assert len(named) > 80, "nodes that choose names near the asker's are not the only ones named"


def test_early_partial_holders_are_not_named_far_more_often() -> None:
    there = holders(0, 200)
    known: dict[str, set[str]] = {holder.node: set() for holder in there}
    rng = Random(1)
    for _ in range(4):
        for count in range(20, 201, 20):  # So many are there, and all of them ask.
            for asker in there[:count]:
                others = [one for one in there[:count] if one is not asker]
                found = handout.choose(others, 16, asker.node, (), rng)
                known[asker.node] |= {one.node for one in found}
    asked = Counter[str]()
    for node, names in known.items():
        asked.update(sorted(names, key=lambda other: distance(node, other))[:10])
    early, late = ([asked[holder.node] for holder in part] for part in (there[:50], there[-50:]))
    assert 0.8 < statistics.mean(early) / statistics.mean(late) < 1.25


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 50), st.integers(0, 2**32))
def test_names_as_many_as_it_may_and_nobody_twice(
    whole: int, partial: int, count: int, seed: int
) -> None:
    there = holders(whole, partial)
    found = handout.choose(there, count, "me", EVEN, Random(seed))
    assert len({holder.node for holder in found}) == len(found) == min(count, whole + partial)
    assert set(found) <= set(there)
    assert found == handout.choose(there, count, "me", EVEN, Random(seed))

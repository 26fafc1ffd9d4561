"""Which holders are named, when there are too many."""

import statistics
from collections import Counter
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from shoal.broker.tracking import handout
from shoal.broker.tracking.handout import Nodes
from shoal.protocol.distance import distance

ALL = {f"n{index}" for index in range(2000)}
EVEN = {f"n{index}" for index in range(0, 120, 2)}


def holders(whole: int, partial: int) -> Nodes:
    names = [f"n{index}" for index in range(whole + partial)]
    return Nodes(names[:whole], names[whole:])


def choose(there: Nodes, *how: Any) -> list[str]:
    """Return the names of those that are chosen, the whole ones first."""
    chosen = handout.choose(there, *how)
    return [*chosen.whole, *chosen.partial]


def chosen(whole: int, partial: int, *, count: int = 10) -> str:
    """Return how many whole and partial holders are chosen."""
    found = handout.choose(holders(whole, partial), count, None, (), Random(1), ALL)
    return f"{len(found.whole)} + {len(found.partial)}"


def test_names_all_if_they_are_few() -> None:
    assert chosen(4, 6) == "4 + 6"
    assert chosen(0, 2) == "0 + 2"


def test_prefers_whole_holders_but_always_names_some_partial_ones() -> None:
    assert chosen(1, 1000) == "1 + 9"
    assert chosen(1000, 1000) == "8 + 2"
    assert chosen(1000, 1) == "9 + 1"
    assert chosen(1000, 0) == "10 + 0"


def test_members_are_named_before_strangers_of_the_same_kind() -> None:
    """Also if they are the only ones far away, or a thousand strangers are as whole."""
    members = {"n7", "n400", "n1001"}
    there = holders(1000, 1000)
    near = {f"n{index}" for index in range(20)}
    for seed in range(20):
        found = handout.choose(there, 10, "me", near, Random(seed), members)
        assert {*found.whole, *found.partial} >= members
        assert found.whole[0] in members
        assert len(found.whole) == 8


def test_favours_those_near_without_excluding_those_far() -> None:
    count = Counter[bool]()
    for seed in range(200):
        found = choose(
            holders(100, 0), 10, "me", {f"n{index}" for index in range(20)}, Random(seed), ALL
        )
        near = sum(int(node[1:]) < 20 for node in found)
        assert near >= 5
        count[near < 10] += 1
    assert count[True] > 190


def test_names_those_far_where_few_are_near() -> None:
    found = choose(holders(100, 0), 10, "me", {"n77"}, Random(1), ALL)
    assert "n77" in found
    assert len(found) == 10


def test_most_partial_holders_named_are_those_that_the_asker_asks_first() -> None:
    there = holders(0, 100)
    nearest = sorted(there.partial, key=lambda node: distance("me", node))
    named = Counter[str]()
    for seed in range(100):
        found = choose(there, 12, "me", (), Random(seed), ALL)
        named.update(found)
        assert set(found) >= set(nearest[:9])
    assert len(named) > 80, "nodes that choose names near the asker's are not the only ones named"


def test_early_partial_holders_are_not_named_far_more_often() -> None:
    there = holders(0, 200).partial
    known: dict[str, set[str]] = {node: set() for node in there}
    rng = Random(1)
    for _ in range(4):
        for count in range(20, 201, 20):  # So many are there, and all of them ask.
            for asker in there[:count]:
                others = [one for one in there[:count] if one != asker]
                known[asker] |= set(choose(Nodes([], others), 16, asker, (), rng, ALL))
    asked = Counter[str]()
    for node, names in known.items():
        asked.update(sorted(names, key=lambda other: distance(node, other))[:10])
    early, late = ([asked[node] for node in part] for part in (there[:50], there[-50:]))
    assert 0.8 < statistics.mean(early) / statistics.mean(late) < 1.25


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 50), st.integers(0, 2**32))
def test_names_as_many_as_it_may_and_nobody_twice(
    whole: int, partial: int, count: int, seed: int
) -> None:
    there = holders(whole, partial)
    found = choose(there, count, "me", EVEN, Random(seed), ALL)
    assert len(set(found)) == len(found) == min(count, whole + partial)
    assert set(found) <= {*there.whole, *there.partial}
    assert found == choose(there, count, "me", EVEN, Random(seed), ALL)

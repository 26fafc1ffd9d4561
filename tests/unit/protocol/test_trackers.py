"""Which tracker is asked, and which instead of one that fails."""

import collections

import pytest
from shoal.protocol.trackers import RETURN_S, Trackers

THREE = [f"tcp://10.0.0.{number}:12000" for number in (1, 2, 3)]


def test_the_first_is_asked_until_it_fails_and_again_half_a_minute_later() -> None:
    trackers = Trackers(THREE, "n1")
    first, second, third = trackers.addresses
    assert sorted(trackers.addresses) == THREE
    assert trackers.current(0.0) == first
    trackers.failed(first, 100.0)
    assert [trackers.current(at) for at in (100.0, 129.9)] == [second, second]
    trackers.failed(second, 101.0)
    assert trackers.current(101.0) == third
    assert trackers.current(100.0 + RETURN_S) == first


def test_if_all_have_failed_each_has_its_turn() -> None:
    trackers = Trackers(THREE, "n1")
    asked = []
    for second in range(6):
        asked.append(trackers.current(second))
        trackers.failed(asked[-1], second)
    assert asked == list(trackers.addresses) * 2


def test_the_only_one_is_asked_whether_it_fails_or_not() -> None:
    trackers = Trackers(THREE[:1], "n1")
    trackers.failed(THREE[0], 1.0)
    assert trackers.current(1.0) == THREE[0]


@pytest.mark.parametrize("order", [THREE, THREE[::-1]])
def test_nodes_spread_evenly_and_those_of_one_that_fails_over_all_others(order: list[str]) -> None:
    every = [Trackers(order, f"node-{number}").addresses for number in range(3000)]
    firsts = collections.Counter(addresses[0] for addresses in every)
    assert all(900 < count < 1100 for count in firsts.values())
    pairs = collections.Counter(addresses[:2] for addresses in every)
    assert len(pairs) == 6
    assert all(400 < count < 600 for count in pairs.values())


def test_who_asks_what_does_not_depend_on_the_other_trackers() -> None:
    for number in range(50):
        with_third = [one for one in Trackers(THREE, f"n{number}").addresses if one != THREE[2]]
        assert tuple(with_third) == Trackers(THREE[:2], f"n{number}").addresses

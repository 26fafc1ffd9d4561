"""What happens when, and what of two things at the same time."""

import sys
from typing import Any

from tests.simulation.world import SPAN_S, Actor, World


def test_nothing_here_is_traced() -> None:
    """The simulations would take four times as long (tests/conftest.py)."""
    assert "coverage" not in type(sys.gettrace()).__module__


def test_things_happen_in_the_order_of_their_times() -> None:
    world = World()
    done: list[Any] = []
    actor = Actor(1, world)
    actor.at(2.0, lambda: done.append(("late", world.now)))
    actor.at(1.0, lambda: done.append(("soon", world.now)))
    assert world.next_at == 1.0
    world.run(3.0)
    assert done == [("soon", 1.0), ("late", 2.0)]
    assert world.next_at == float("inf")


def test_of_one_time_the_first_actor_is_first_and_its_orders_keep_theirs() -> None:
    world = World()
    done: list[Any] = []
    second, first = Actor(2, world), Actor(1, world)
    for actor, word in [(second, "c"), (first, "a"), (second, "d"), (first, "b")]:
        actor.at(1.0, done.append, word)
    world.run(2.0)
    assert "".join(done) == "abcd"


def test_what_happens_at_the_end_is_still_to_come() -> None:
    world = World()
    done: list[Any] = []
    actor = Actor(1, world)
    actor.at(1.0, done.append, 1)
    world.run(1.0)
    assert not done
    assert world.next_at == 1.0


def test_what_is_too_late_happens_now() -> None:
    world = World()
    done: list[Any] = []
    actor = Actor(1, world)
    actor.at(1.0, lambda: actor.at(0.5, lambda: done.append(world.now)))
    world.run(2.0)
    assert done == [1.0]


def test_what_is_ordered_for_sooner_than_the_next_thing_comes_first() -> None:
    world = World()
    done: list[Any] = []
    actor = Actor(1, world)
    for time in (1.0, 1.0 + SPAN_S / 4, 3.0):
        actor.at(time, done.append, time)
    assert world.next_at == 1.0  # What is next has been put in order.
    for time in (2.0, 1.0 + SPAN_S / 8, 0.5):
        actor.at(time, done.append, time)
    world.run(4.0)
    assert done == [0.5, 1.0, 1.0 + SPAN_S / 8, 1.0 + SPAN_S / 4, 2.0, 3.0]

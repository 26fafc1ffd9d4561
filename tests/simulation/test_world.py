"""What happens when, and what of two things at the same time."""

from typing import Any

from tests.simulation.world import Actor, World


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

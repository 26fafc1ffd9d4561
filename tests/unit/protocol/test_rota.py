"""Whose turn it is, at every level; and who has most waiting."""

from random import Random

import pytest
from shoal.protocol.rota import Rota


def rota(*waiting: str) -> Rota[tuple[str, str], str]:
    """Return one in which `host/connection=thing` wait, of size 1 each."""
    made: Rota[tuple[str, str], str] = Rota()
    for each in waiting:
        place, _, thing = each.partition("=")
        host, _, connection = place.partition("/")
        made.put((host, connection), thing, 1)
    return made


def all_of(waiting: Rota[tuple[str, str], str]) -> str:
    """Take everything, each at a cost of 1."""
    taken = ""
    while waiting:
        place, thing = waiting.take()
        waiting.charge(place, 1)
        taken += thing
    return taken


def test_each_host_has_its_turn_and_each_of_its_connections() -> None:
    waiting = rota("a/1=a", "a/1=b", "a/2=c", "a/2=d", "b/9=x", "b/9=y")
    assert len(waiting) == waiting.size == 6
    assert all_of(waiting) == "axcybd"
    assert len(waiting) == waiting.size == 0


def test_many_connections_of_one_host_get_no_more_than_one_of_another() -> None:
    waiting = rota(*(f"a/{number}=a" for number in range(100)), *["b/1=b"] * 10)
    assert all_of(waiting)[:20] == "ab" * 10


def test_things_of_one_place_keep_their_order() -> None:
    assert all_of(rota(*(f"a/1={letter}" for letter in "abcdef"))) == "abcdef"


def test_says_how_many_wait_at_a_place() -> None:
    waiting = rota("a/1=a", "a/2=b")
    assert waiting.put(("a", "1"), "c", 1) == 2
    assert waiting.put(("b", "1"), "d", 1) == 1


def test_one_place_can_be_dropped() -> None:
    waiting = rota("a/1=a", "a/2=b", "b/1=c", "a/1=d")
    waiting.drop(("a", "1"))
    waiting.drop(("a", "1"))
    waiting.drop(("c", "1"))
    assert len(waiting) == waiting.size == 2
    waiting.drop(("b", "1"))
    assert all_of(waiting) == "b"
    assert all_of(rota()) == ""


def test_finds_who_has_most_waiting_of_the_host_that_has_most() -> None:
    waiting = rota("a/1=a")
    waiting.put(("a", "1"), "b", 50)
    for number in range(10):
        waiting.put(("b", str(number)), "c", 6 + number)
    assert waiting.largest() == ("b", "9")
    waiting.drop(("b", "9"))
    waiting.drop(("b", "8"))
    waiting.drop(("b", "7"))
    waiting.drop(("b", "6"))
    assert waiting.largest() == ("a", "1")


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_no_size_is_wrong(seed: int) -> None:
    rng = Random(seed)
    waiting: Rota[tuple[int, int, int], int] = Rota()
    kept: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    by_thing: dict[int, tuple[int, int, int]] = {}
    for thing in range(500):
        place = rng.randrange(3), rng.randrange(2), rng.randrange(3)
        match rng.randrange(5):
            case 0 | 1 | 2:
                size = rng.randrange(1, 9)
                kept.setdefault(place, []).append((thing, size))
                by_thing[thing] = place
                assert waiting.put(place, thing, size) == len(kept[place])
            case 3 if len(waiting):
                place, taken = waiting.take()
                assert place == by_thing[taken]
                assert kept[place].pop(0)[0] == taken
                waiting.charge(place, rng.randrange(3))
            case _:
                waiting.drop(place)
                kept.pop(place, None)
        assert len(waiting) == sum(map(len, kept.values()))
        assert waiting.size == sum(size for things in kept.values() for _, size in things)


def test_who_asks_for_little_does_not_wait_for_who_asks_for_much() -> None:
    waiting = rota(*["a/1=a"] * 20)
    turns = ""
    for _ in range(30):
        place, thing = waiting.take()
        waiting.charge(place, 10 if thing == "a" else 1)
        turns += thing
        if thing == "a":
            waiting.put(("b", "1"), "b", 1)
    assert "aa" not in turns


def test_who_was_away_has_saved_nothing_up() -> None:
    waiting = rota(*["a/1=a"] * 100)
    for _ in range(50):
        place, _ = waiting.take()
        waiting.charge(place, 1)
    for _ in range(50):
        waiting.put(("b", "1"), "b", 1)
    turns = all_of(waiting)[:40]
    assert turns.count("a") == turns.count("b") == 20


def test_who_has_cost_much_is_remembered_after_a_pause() -> None:
    waiting = rota("a/1=a", *["b/1=b"] * 9)
    place, thing = waiting.take()
    assert thing == "a"
    waiting.charge(place, 5)
    waiting.put(("a", "1"), "A", 1)
    assert all_of(waiting).index("A") == 5


def test_forgets_who_was_served_long_ago() -> None:
    waiting = rota()
    for number in range(10_000):
        waiting.put((str(number), "1"), "x", 1)
        place, _ = waiting.take()
        waiting.charge(place, 0)
    assert len(waiting._hosts._costs) < 200
    assert len(waiting._hosts._next) < 200

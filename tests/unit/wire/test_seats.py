"""Who has to go when there are too many connections."""

import dataclasses
import itertools
import random

import pytest
from shoal.wire.seats import Seats


@dataclasses.dataclass(frozen=True)
class Guest:
    address: str
    number: int
    begun_at: float = 0.0

    def __str__(self) -> str:
        return f"{self.address}{self.number}"


class Scene:
    """Seats, and who took one and still has it. Guests are written as `a1`: host and number."""

    def __init__(self, most: int = 9, most_from_one_host: int = 4, most_silent: int = 9) -> None:
        self.seats: Seats[Guest] = Seats(most, most_from_one_host, most_silent)
        self.guests: dict[str, Guest] = {}
        self.now = 0.0

    def put(self, *names: str) -> str:
        """Let some in; return who had to go."""
        gone: list[str] = []
        for name in names:
            guest = self.guests[name] = Guest(name[0], int(name[1:]), self.now)
            excess = self.seats.put(guest)
            if excess is not None:
                gone.append(str(excess))
                self.seats.remove(excess)
        return " ".join(gone)

    def ask(self, *names: str) -> None:
        for name in names:
            self.seats.heard(self.guests[name])

    def overdue(self, began_before: float) -> str:
        gone: list[str] = []
        while (excess := self.seats.overdue(began_before)) is not None:
            gone.append(str(excess))
            self.seats.remove(excess)
        return " ".join(gone)


def test_there_is_room_up_to_the_limits() -> None:
    scene = Scene()
    assert scene.put("a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4", "c1") == ""
    assert scene.seats.count == 9


def test_of_a_host_with_too_many_those_go_first_that_have_not_asked() -> None:
    scene = Scene()
    scene.put("a1", "a2", "a3", "a4")
    scene.ask("a1")
    assert scene.put("a5", "a6") == "a2 a3"


def test_then_the_one_that_has_been_silent_longest() -> None:
    scene = Scene()
    scene.put("a1", "a2", "a3", "a4")
    scene.ask("a1", "a2", "a3", "a4", "a1")
    assert scene.put("a5") == "a2"


def test_a_newcomer_has_the_time_to_ask_where_all_others_have_asked() -> None:
    scene = Scene()
    scene.put("a1", "a2", "a3", "a4")
    scene.ask("a1", "a2", "a3", "a4")
    assert scene.put("a5", "a6", "a7") == "a1 a2 a5"


def test_a_newcomer_alone_is_not_the_one_to_go_for_itself() -> None:
    scene = Scene(most=2, most_from_one_host=1)
    scene.put("a1")
    assert scene.put("a2", "b1", "c1") == "a1 a2"


def test_with_too_many_in_all_the_host_with_most_gives_one_up() -> None:
    scene = Scene(most=6, most_from_one_host=9)
    scene.put("a1", "b1", "b2", "b3", "c1", "c2")
    scene.ask("a1", "b1", "b2", "b3", "c1", "c2")
    assert scene.put("d1") == "b1"


def test_many_hosts_that_ask_nothing_take_no_room_of_those_that_do() -> None:
    scene = Scene(most=6, most_silent=4)
    scene.put("a1", "b1", "c1")
    scene.ask("a1", "b1", "c1")
    assert scene.put("d1", "e1", "f1", "g1", "h1") == "d1 e1"


def test_who_had_the_time_to_ask_goes_if_too_many_have_not() -> None:
    scene = Scene(most_silent=3)
    scene.put("a1", "a2", "b1")
    scene.now = 2.0
    scene.put("b2", "c1")
    assert scene.overdue(1.0) == "a1 b1"
    scene.put("c2")
    scene.ask("a2")
    assert scene.overdue(1.0) == ""
    scene.put("c3")
    assert scene.overdue(3.0) == "c1"


def test_an_older_one_of_another_host_goes_if_those_of_the_largest_are_new() -> None:
    scene = Scene(most_silent=2)
    scene.put("a1")
    scene.now = 2.0
    scene.put("b1", "b2")
    assert scene.overdue(1.0) == "a1"


def test_a_stampede_ends_those_that_have_not_asked_at_once() -> None:
    scene = Scene(most_silent=2)
    assert scene.put("a1", "a2", "b1", "c1", "d1") == "a1"


def test_who_has_gone_takes_no_seat_any_more() -> None:
    scene = Scene()
    scene.put("a1", "a2")
    scene.ask("a1")
    for name in ("a1", "a2", "a2"):
        scene.seats.remove(scene.guests[name])
    scene.ask("a1", "a2")
    assert scene.seats.count == 0


@pytest.mark.parametrize("seed", range(20))
def test_the_limits_hold_whatever_happens(seed: int) -> None:
    rng, numbers = random.Random(seed), itertools.count()
    seats: Seats[Guest] = Seats(12, 5, 4)
    inside: list[Guest] = []
    for now in range(500):
        match rng.randrange(4):
            case 0 if inside:
                seats.heard(rng.choice(inside))
            case 1 if inside:
                seats.remove(inside.pop(rng.randrange(len(inside))))
            case _:
                inside.append(Guest(rng.choice("abcdefgh"), next(numbers), now))
                excess = seats.put(inside[-1])
                if excess is not None:
                    assert excess is not inside[-1]
                    inside.remove(excess)
                    seats.remove(excess)
        assert seats.count == len(inside) <= 12
        for host in "abcdefgh":
            assert sum(one.address == host for one in inside) <= 5

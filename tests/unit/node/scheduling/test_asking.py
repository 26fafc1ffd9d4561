"""Which chunk is asked of whom when there are many holders."""

import msgspec
import pytest
from shoal.node.scheduling.settings import FetchSettings

from tests.unit.node.scheduling.test_scheduler import SETTINGS, Fetch
from tests.unit.node.things import bits


def test_asks_the_nearest_again_and_not_the_others_in_turn() -> None:
    """If all were asked in turn, requests would gather where they wait longest."""
    settings = FetchSettings(requests=3, most_requests=3)
    fetch = Fetch("n1 n2 n3 n4 n5", settings=settings)
    assert fetch.asked() == "n1:0 n2:1 n3:2"
    fetch.wait(0.1).deliver("n2")
    assert fetch.asked() == "n2:3"
    fetch.wait(0.5).deliver("n1")
    assert fetch.asked() == "n1:4"


def test_who_comes_later_and_is_nearer_is_asked_first() -> None:
    fetch = Fetch("", settings=FetchSettings(requests=2, most_requests=2))
    for node, far in (("n1", 30), ("n2", 20), ("n3", 10)):
        fetch.scheduler.add(node, 0, complete=True, far=far)
    assert fetch.asked() == "n2:1 n3:0"


def test_asks_those_known_to_have_something_before_it_guesses() -> None:
    settings = FetchSettings(requests=2, most_requests=2)
    fetch = Fetch("n1:? n2:3 n3:4", missing="0123456789", settings=settings)
    assert fetch.asked() == "n2:3 n3:4"


def test_asks_for_what_few_others_have() -> None:
    """What several have can be had later too; and all would wait for the one who has the rest."""
    assert Fetch("n1:012 n2:12 n3:1", missing="012").asked() == "n1:0 n2:2 n3:1"
    assert Fetch("n1:023 n2:02 n3:0", missing="0123").asked() == "n1:3 n2:2 n3:0"


@pytest.mark.parametrize(("holders", "guesses"), [(1, 1), (12, 8), (150, 8)])
def test_guesses_of_a_few_at_a_time(holders: int, guesses: int) -> None:
    settings = msgspec.structs.replace(SETTINGS, guesses=8)
    names = " ".join(f"n{number}:?" for number in range(holders))
    fetch = Fetch(names, sizes=[10] * 100, settings=settings)
    assert len(fetch.scheduler.next_requests(0)) == guesses


def test_in_a_swarm_that_waits_for_a_holder_hardly_anything_is_asked() -> None:
    fetch = Fetch("n1:? n2:?", missing="0123456789")
    asked = 0
    while fetch.now < 60:  # Every 0.2 s, as at first, would be 600.
        while requests := fetch.scheduler.next_requests(fetch.now):
            asked += len(requests)
            for request in requests:
                node, request_id = request.node, request.request_id
                fetch.scheduler.had_nothing(node, request_id, b"\0", fetch.now)
        deadline = fetch.scheduler.deadline(fetch.now)
        assert deadline is not None
        fetch.now = deadline
    assert 60 < asked < 150


def test_who_is_heard_of_is_asked_at_once() -> None:
    fetch = Fetch("n1:? n2:?", missing="0123456789", settings=FetchSettings(guesses=1))
    assert fetch.asked() == "n1:3"
    assert fetch.hear("n2", "09")
    assert fetch.asked() == "n2:9"
    assert not fetch.hear("n2", "09")
    assert fetch.asked() == ""


def test_who_is_heard_of_and_is_at_work_gets_no_more_than_fits() -> None:
    fetch = Fetch("n1:0 n2", missing="0123456789")
    assert fetch.asked().split()[0] == "n1:0"
    assert not fetch.hear("n1", "01")
    assert fetch.asked() == ""


def test_who_is_heard_of_takes_over_when_nothing_is_free() -> None:
    fetch = Fetch("n1:01 n2:1", missing="01")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.1).deliver("n2")
    assert fetch.wait(0.5).asked() == ""
    assert fetch.hear("n2", "0")
    assert fetch.asked() == "n2:0"


def test_one_that_sent_a_chunk_wrong_is_not_asked_for_its_neighbours_next() -> None:
    """They may have rotted with it, and three wrong ones and none right are a liar's."""
    fetch = Fetch("n1", sizes=[10] * 100)
    (first,) = fetch.scheduler.next_requests(0)
    assert first.index == 0
    fetch.scheduler.sent_wrong("n1", first.request_id, 0, 0.1)
    (second,) = fetch.scheduler.next_requests(0.1)
    assert second.index > 4


def test_one_that_comes_back_is_not_asked_for_what_it_sent_wrong() -> None:
    fetch = Fetch("", missing="0123")
    fetch.scheduler.add("n1", 0, complete=True, wrong=bits("0124"))
    assert fetch.asked() == "n1:3"
    fetch.wait(0.1).deliver("n1")
    assert fetch.asked() == ""

"""Which chunk is requested from which holder: drawn as `holder:chunk`."""

import pytest
from shoal.node.scheduling.holders import FIRST_PATIENCE_S
from shoal.node.scheduling.scheduler import MOST_REQUESTS

from tests.unit.node.scheduling.scene import Fetch
from tests.unit.node.things import bits, digits


def asked(holders: str, missing: str) -> str:
    return Fetch(holders, missing).asked()


def test_asks_each_holder_for_a_different_chunk() -> None:
    assert asked("n1 n2", missing="01") == "n1:0 n2:1"
    assert asked("n1 n2 n3", missing="0123456789") == "n1:0 n2:1 n3:2"


def test_asks_holders_for_what_they_have() -> None:
    assert asked("n1:0 n2:1", missing="01") == "n1:0 n2:1"
    assert asked("n1:1 n2:0", missing="01") == "n1:1 n2:0"
    assert asked("n1:5 n2:7", missing="012") == ""


def test_asks_nobody_when_nothing_is_missing() -> None:
    fetch = Fetch("n1", missing="4")
    assert fetch.asked() == "n1:4"
    assert fetch.deliver("n1")
    assert (fetch.scheduler.wanted.is_complete, fetch.asked()) == (True, "")
    assert digits(fetch.scheduler.wanted.have) == "0123456789"


def test_asks_one_whose_part_is_not_known_for_anything() -> None:
    assert asked("n1:?", missing="3") == "n1:3"


def test_one_that_had_nothing_is_asked_again_a_moment_later() -> None:
    fetch = Fetch("n1:?", missing="3")
    assert fetch.asked() == "n1:3"
    fetch.has_nothing("n1", have="0")
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(fetch.now) == 0.02
    assert fetch.wait(0.02).asked() == "n1:3"
    fetch.has_nothing("n1", have="03")
    assert fetch.wait(0.5).asked() == "n1:3"


def test_gives_a_fast_holder_more() -> None:
    fetch = Fetch("n1 n2")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == "n1:2 n1:3"
    fetch.wait(0.01).deliver("n1")
    assert fetch.asked() == "n1:4 n1:5"


def test_asks_again_elsewhere_after_the_deadline() -> None:
    fetch = Fetch("n1 n2", missing="0")
    assert fetch.asked() == "n1:0"
    assert fetch.scheduler.deadline(fetch.now) == 5
    assert fetch.wait(5).asked() == "n2:0"


def test_once_somebody_answers_it_does_not_wait_for_the_others_as_long() -> None:
    fetch = Fetch("n1 n2", missing="01")
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.1).deliver("n1")
    assert fetch.asked() == ""
    assert fetch.wait(0.9).asked() == "n1:1"


def test_takes_a_late_reply_and_counts_the_second_as_not_needed() -> None:
    fetch = Fetch("n1 n2", missing="0")
    fetch.asked()
    fetch.wait(5).asked()
    assert fetch.deliver("n1")
    assert not fetch.deliver("n2")
    assert fetch.scheduler.wanted.is_complete


def test_asks_the_only_holder_again_when_the_request_is_written_off() -> None:
    fetch = Fetch("n1", missing="01")
    assert fetch.asked() == "n1:0"
    fetch.wait(0.7).deliver("n1")
    assert fetch.asked() == "n1:1"
    assert fetch.scheduler.deadline(fetch.now) == 0.7 + 2.8
    assert fetch.wait(2.8).asked() == ""
    fetch.wait(0.5)
    assert fetch.wait(5).asked() == ""
    assert fetch.wait(0.1).asked() == "n1:1"
    assert fetch.deliver("n1")
    assert not fetch.deliver("n1")


def test_what_a_silent_holder_was_asked_for_does_not_keep_the_others_waiting() -> None:
    """Its overdue requests take none of the places that a holder which delivers could have."""
    fetch = Fetch("n1", sizes=[10] * 9, window_bytes=40)
    for _ in range(3):
        fetch.asked()
        fetch.wait(0.01).deliver("n1")
    assert fetch.asked() != ""
    fetch.add("n2")
    assert fetch.asked() == ""
    assert fetch.wait(1.1).asked() == "n2:3"


def test_leaves_a_busy_holder_alone_for_a_while() -> None:
    fetch = Fetch("n1", missing="0")
    fetch.asked()
    request = fetch.request_to("n1")
    fetch.scheduler.is_busy("n1", 0)
    fetch.scheduler.give_up("n1", request.request_id, 0)
    assert fetch.asked() == ""
    assert fetch.scheduler.deadline(0) == 0.02
    assert fetch.wait(0.02).asked() == "n1:0"


def test_backs_off_from_a_holder_that_never_sends_what_it_says_it_has() -> None:
    """Otherwise it is asked as fast as it answers, and keeps the chunk from the others."""
    fetch = Fetch("n1 n2", missing="0")
    assert fetch.asked() == "n1:0"
    fetch.has_nothing("n1", have="0123456789")
    assert fetch.asked() == "n2:0"


def test_guesses_only_so_often_at_a_time() -> None:
    """Few requests find out who has what nobody is known to have, not as many as there may be."""
    many = " ".join(f"n{number}:?" for number in range(1, 11))
    fetch = Fetch(many, sizes=[10] * 40, window_bytes=1000)
    assert len(fetch.asked().split()) == 8
    fetch.has_nothing("n1", have="")
    assert fetch.asked()[:3] == "n9:"


def test_as_many_are_asked_as_there_are_holders() -> None:
    many = [f"n{number:02}" for number in range(40)]
    for count, requests in ((1, 1), (5, 5), (18, 18), (40, MOST_REQUESTS)):
        fetch = Fetch(" ".join(many[:count]), sizes=[10] * 60, window_bytes=1000)
        assert len(fetch.scheduler.next_requests(0)) == requests


def test_never_asks_for_more_than_may_be_held_in_memory() -> None:
    fetch = Fetch("n1 n2 n3 n4", sizes=[30] * 10)
    assert fetch.asked() == "n1:0 n2:1"
    fetch.wait(0.7).deliver("n1")
    assert fetch.asked() == "n1:2"


def test_a_chunk_larger_than_all_windows_is_asked_for_alone() -> None:
    fetch = Fetch("n1 n2", sizes=[500, 500])
    assert fetch.asked() == "n1:0"
    fetch.deliver("n1")
    assert fetch.asked() == "n1:1"


def test_what_a_dropped_holder_was_asked_for_is_asked_of_the_others() -> None:
    fetch = Fetch("n1", missing="0")
    fetch.asked()
    fetch.add("n2")
    assert fetch.asked() == ""
    fetch.scheduler.drop("n1", fetch.now)
    assert fetch.asked() == "n2:0"
    assert [peer.node for peer in fetch.scheduler._near.in_order] == ["n2"]
    fetch.scheduler.drop("n1", fetch.now)


def test_knows_its_requests_by_holder_and_id() -> None:
    fetch = Fetch("n1 n2", missing="01")
    fetch.asked()
    request = fetch.request_to("n1")
    assert fetch.scheduler.asked_for("n1", request.request_id) == 0
    assert fetch.scheduler.asked_for("n2", request.request_id) is None
    assert fetch.scheduler.asked_for("n1", request.request_id + 1000) is None


def test_says_who_is_silent() -> None:
    fetch = Fetch("n1 n2", missing="01")
    fetch.asked()
    fetch.wait(30).deliver("n2")
    assert fetch.scheduler.silent(59.9) == []
    assert fetch.scheduler.silent(60) == ["n1"]


def test_has_no_deadline_when_nothing_is_out() -> None:
    assert Fetch("", missing="0").scheduler.deadline(0) is None


# Many holders.


def test_asks_the_nearest_again_and_not_the_others_in_turn() -> None:
    """If all were asked in turn, requests would gather where they wait longest."""
    fetch = Fetch("n1 n2 n3 n4 n5", window_bytes=30)
    assert fetch.asked() == "n1:0 n2:1 n3:2"
    fetch.wait(0.1).deliver("n2")
    assert fetch.asked() == "n2:3"
    fetch.wait(0.5).deliver("n1")
    assert fetch.asked() == "n1:4"


def test_who_comes_later_and_is_nearer_is_asked_first() -> None:
    fetch = Fetch("", window_bytes=20)
    for node, far in (("n1", 30), ("n2", 20), ("n3", 10)):
        fetch.scheduler.add(node, 0, complete=True, far=far)
    assert fetch.asked() == "n2:1 n3:0"


def test_asks_those_known_to_have_something_before_it_guesses() -> None:
    fetch = Fetch("n1:? n2:3 n3:4", missing="0123456789", window_bytes=20)
    assert fetch.asked() == "n2:3 n3:4"


@pytest.mark.parametrize(("holders", "guesses"), [(1, 1), (12, 8), (150, 8)])
def test_guesses_of_a_few_at_a_time(holders: int, guesses: int) -> None:
    names = " ".join(f"n{number}:?" for number in range(holders))
    fetch = Fetch(names, sizes=[10] * 100, window_bytes=1000)
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


# Slow links.


def test_what_is_coming_in_is_not_late_while_nothing_tells_how_long_that_takes() -> None:
    fetch = Fetch("n1 n2", missing="0")
    fetch.asked()
    (request,) = fetch.out
    fetch.wait(4).scheduler.is_sending(request.node, fetch.now)
    assert request.due == 4 + FIRST_PATIENCE_S
    fetch.scheduler.is_sending("n9", fetch.now)
    fetch.deliver(request.node)


def test_what_is_coming_in_is_late_when_others_show_how_quick_it_could_be() -> None:
    fetch = Fetch("n1 n2", missing="01")
    fetch.asked()
    fetch.wait(0.1).deliver("n2")
    late = fetch.request_to("n1")
    due = late.due
    fetch.wait(0.5).scheduler.is_sending("n1", fetch.now)
    assert late.due == due


def test_one_that_is_unknown_may_be_as_far_away_as_it_likes() -> None:
    Fetch("n1").scheduler.met("n9", 1.0)


# Equal chunks.


def test_equal_chunks_are_asked_for_once() -> None:
    fetch = Fetch("n1 n2", letters="aaaaab")
    assert fetch.asked() == "n1:0 n2:5"
    assert fetch.deliver("n1")
    assert fetch.asked() == ""
    assert digits(fetch.scheduler.wanted.have) == "01234"
    assert fetch.deliver("n2")
    assert fetch.scheduler.wanted.is_complete


def test_whichever_of_equal_chunks_a_holder_has_is_asked_for() -> None:
    fetch = Fetch("n1:3", letters="aaaa")
    assert fetch.asked() == "n1:3"
    fetch.has_nothing("n1", "2")
    assert fetch.asked() == "n1:2"
    assert fetch.deliver("n1")
    assert fetch.scheduler.wanted.is_complete


def test_equal_chunks_that_are_overdue_are_asked_of_one_other_holder() -> None:
    fetch = Fetch("n1:0", letters="aaa")
    assert fetch.asked() == "n1:0"
    fetch.now = 6.0
    assert fetch.asked() == ""
    fetch.add("n2:1")
    assert fetch.asked() == "n2:1"
    fetch.add("n3:2")
    fetch.has_nothing("n1", "0")
    assert fetch.asked() == ""

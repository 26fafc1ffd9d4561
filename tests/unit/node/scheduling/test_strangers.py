"""Holders that may never answer: strangers, and those whose connection is not up."""

from tests.unit.node.scheduling.scene import Fetch

NAMES = "abcdefgh"


def with_strangers(known: str, count: int = 8) -> Fetch:
    """Return a fetch of ten chunks from one that is known and from strangers, all whole."""
    fetch = Fetch(known)
    for name in NAMES[:count]:
        fetch.add(name)
        fetch.scheduler.expect_nothing_of(name)
    return fetch


def test_strangers_are_asked_last_and_a_few_at_a_time() -> None:
    fetch = with_strangers("n1")
    assert fetch.asked() == "a:1 b:2 c:3 d:4 n1:0"
    fetch.deliver("n1")
    assert fetch.asked() == "n1:5 n1:6"


def test_where_there_are_only_strangers_all_are_asked() -> None:
    fetch = with_strangers("")
    assert len(fetch.asked().split()) == 8


def test_one_that_answered_is_no_stranger_any_more() -> None:
    fetch = with_strangers("n1")
    fetch.asked()
    fetch.deliver("a")
    fetch.has_nothing("b", have="9")
    assert {text[0] for text in fetch.asked().split()} == {"a", "e", "f"}  # And b has room later.
    assert "b:" in fetch.wait(0.5).asked()


def test_silent_strangers_cost_a_second_and_not_one_each() -> None:
    """Forty-nine of fifty that say they have it never answer."""
    fetch = with_strangers("n1")
    while not fetch.scheduler.wanted.is_complete:
        fetch.asked()
        if any(request.node == "n1" for request in fetch.out):
            fetch.wait(0.01).deliver("n1")
        else:
            deadline = fetch.scheduler.deadline(fetch.now)
            assert deadline is not None
            fetch.now = deadline
    assert fetch.now < 2.5


def test_a_stranger_is_waited_for_shortly_also_before_anybody_has_delivered() -> None:
    fetch = with_strangers("", 2)
    asked = fetch.asked()
    assert fetch.wait(1.49).asked() == ""
    assert asked == "a:0 b:1"
    fetch.add("n1")
    assert "n1:2" in fetch.asked()
    assert fetch.scheduler.out.retries == 0
    fetch.wait(0.02).asked()
    assert fetch.scheduler.out.retries == 2


def test_once_a_connection_is_up_those_without_have_to_wait() -> None:
    fetch = Fetch("n1 n2 n3")
    fetch.scheduler.met("n2", 0.001)
    assert fetch.asked() == "n2:0"
    fetch.scheduler.met("n3", 0.001)
    fetch.scheduler.met("n3", 0.001)
    assert fetch.asked() == "n3:1"
    fetch.scheduler.drop("n2", 0.0)
    fetch.scheduler.drop("n3", 0.0)
    assert fetch.asked() == "n1:0"

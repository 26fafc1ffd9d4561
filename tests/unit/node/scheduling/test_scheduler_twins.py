"""Of chunks with the same bytes one is asked for at a time, and with it all have come."""

from tests.unit.node.scheduling.test_scheduler import Fetch
from tests.unit.node.things import digits


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

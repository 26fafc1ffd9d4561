"""How much may be requested in which time."""

import math

import pytest
from shoal.node.scheduling.budgets import Budgets
from shoal.protocol.bucket import BURST_S, Bucket

from tests.unit.node.scheduling.scene import Fetch, drawn


def limited(rate: int, holders: str = "n1 n2") -> Fetch:
    fetch = Fetch(holders)
    fetch.scheduler.budget = Bucket(rate)
    return fetch


def woken(fetch: Fetch) -> Fetch:
    """Wait until the scheduler wants to be asked again."""
    deadline = fetch.scheduler.deadline(fetch.now)
    assert deadline is not None
    fetch.now = deadline
    return fetch


def test_no_more_is_requested_than_the_budget_allows() -> None:
    fetch = limited(10)
    assert len(fetch.asked().split()) == 1
    assert fetch.asked() == ""
    assert woken(fetch).now == pytest.approx(1.0 - BURST_S)
    assert len(fetch.asked().split()) == 1
    assert woken(fetch).now == pytest.approx(2.0 - BURST_S)


def test_what_comes_meanwhile_changes_nothing() -> None:
    fetch = limited(10, "n1")
    fetch.asked()
    assert fetch.deliver("n1")
    assert fetch.asked() == ""
    assert len(woken(fetch).asked().split()) == 1


def test_a_request_that_brings_no_chunk_is_given_back() -> None:
    fetch = limited(10, "n1:01 n2")
    fetch.asked()
    node = fetch.out[0].node
    fetch.scheduler.drop(node, fetch.now)
    assert len(fetch.asked().split()) == 1


def test_a_chunk_that_came_and_was_wrong_is_not_given_back() -> None:
    fetch = limited(10, "n1")
    fetch.asked()
    request = fetch.request_to("n1")
    fetch.scheduler.sent_wrong("n1", request.request_id, request.index, fetch.now)
    assert fetch.asked() == ""


def test_a_second_request_for_a_chunk_counts_too() -> None:
    fetch = Fetch("n1 n2 n3", missing="012")
    fetch.asked()
    fetch.wait(0.01).deliver("n1")
    fetch.deliver("n2")
    fetch.scheduler.budget = Bucket(10)
    assert fetch.wait(0.3).asked() == "n1:2"
    assert fetch.asked() == ""
    assert fetch.scheduler.budget.ready_at(fetch.now) > fetch.now


def test_with_no_limit_as_many_are_requested_as_before() -> None:
    assert len(drawn(Fetch("n1 n2").scheduler.next_requests(0.0)).split()) == len(
        limited(10**9).asked().split()
    )


def test_of_several_budgets_the_strictest_counts() -> None:
    day, own = Bucket(100), Bucket(50)
    both = Budgets(day, own, Bucket())
    assert both.rate == 50
    assert both.ready_at(0.0) == -math.inf
    both.take(100, 0.0)
    assert both.ready_at(0.0) == own.ready_at(0.0) == pytest.approx(2.0 - BURST_S)
    both.give_back(100)
    assert both.ready_at(0.0) == day.ready_at(0.0) == pytest.approx(-BURST_S)
    assert Budgets(Bucket()).rate is None

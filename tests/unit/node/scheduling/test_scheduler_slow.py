"""Holders that are far away, or behind slow links, as the scheduler takes them."""

from tests.unit.node.scheduling.test_scheduler import Fetch


def test_what_is_coming_in_is_not_late_while_nothing_tells_how_long_that_takes() -> None:
    fetch = Fetch("n1 n2", missing="0")
    fetch.asked()
    (request,) = fetch.out
    fetch.wait(4).scheduler.is_sending(request.node, fetch.now)
    assert request.due == 4 + fetch.scheduler._settings.first_patience_s
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

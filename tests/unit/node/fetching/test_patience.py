"""When a download asks the tracker again, and when it gives up."""

from shoal.node.fetching.patience import Lookup, Patience
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.steps import QueryTracker

STALLED_S = 600.0


def alone_from(now: float, *, begun: bool) -> Patience:
    patience = Patience(STALLED_S)
    if begun:
        patience.succeeded(now)
    patience.look(now, is_alone=True)
    return patience


def test_has_no_deadline_before_it_has_looked() -> None:
    patience = Patience(STALLED_S)
    assert patience.deadline is None
    assert not patience.is_over(1e9)


def test_gives_nodes_that_are_starting_a_moment() -> None:
    patience = alone_from(100, begun=False)
    assert patience.deadline == 103
    assert (patience.is_over(102.9), patience.is_over(103)) == (False, True)


def test_gives_a_running_download_longer() -> None:
    assert alone_from(100, begun=True).deadline == 110


def test_begins_anew_when_nothing_was_wanted_up_to_now() -> None:
    patience = alone_from(100, begun=True)
    patience.rest(105)
    assert patience.deadline == 105 + STALLED_S
    patience.look(106, is_alone=True)
    assert patience.deadline == 116


def test_begins_anew_when_somebody_was_there_meanwhile() -> None:
    patience = alone_from(100, begun=True)
    patience.look(105, is_alone=False)
    assert patience.deadline == 700
    patience.look(106, is_alone=True)
    assert patience.deadline == 116


def test_ends_when_nothing_comes_from_those_who_are_there() -> None:
    patience = Patience(STALLED_S)
    for now in range(0, 600, 3):
        patience.look(now, is_alone=False)
        assert not patience.is_over(now)
    assert patience.is_over(600)


def test_goes_on_as_long_as_something_comes() -> None:
    patience = Patience(STALLED_S)
    for now in range(0, 6000, 5):
        patience.look(now, is_alone=False)
        if now % 500 == 0:
            patience.succeeded(now)
        assert not patience.is_over(now)


def test_the_time_in_which_this_process_was_stopped_does_not_count() -> None:
    patience = Patience(STALLED_S)
    patience.succeeded(0)
    patience.look(10, is_alone=False)
    patience.look(3610, is_alone=False)
    assert patience.deadline == 4200


def test_hopes_for_one_that_is_tried_again_but_not_for_ever() -> None:
    patience = alone_from(100, begun=True)
    patience.look(105, is_alone=True, is_hoping=True)
    assert patience.deadline == 700
    patience.look(111, is_alone=True)  # It failed again: the time alone has gone on.
    assert patience.is_over(111)


def test_one_that_keeps_its_connection_is_slow_and_not_gone() -> None:
    patience = alone_from(100, begun=True)
    patience.look(105, is_alone=True, is_hoping=True)
    patience.look(115, is_alone=True, is_hoping=True)
    patience.look(160, is_alone=True)  # One reply is lost, after a while.
    assert patience.deadline == 170


def test_tells_how_long_nothing_has_come_once_something_has() -> None:
    patience = Patience(STALLED_S)
    patience.look(90, is_alone=False)
    assert patience.quiet_s(95) == 0
    patience.succeeded(100)
    assert patience.quiet_s(103) == 3


def test_asks_one_query_at_a_time_and_sooner_with_nobody_to_ask() -> None:
    lookup = Lookup(FetchSettings(requery_first_s=3, requery_s=3))
    assert lookup.queries("a.bin", 10, partial=False) == [QueryTracker("a.bin", partial=False)]
    assert (lookup.is_out, lookup.deadline) == (True, None)
    assert lookup.queries("a.bin", 100, partial=False) == []
    lookup.answered(100, is_alone=True)
    assert (lookup.is_out, lookup.deadline) == (False, 100.5)
    assert lookup.queries("a.bin", 100.4, partial=True) == []
    assert lookup.queries("a.bin", 100.5, partial=True) == [QueryTracker("a.bin", partial=True)]
    lookup.answered(101, is_alone=False)
    assert lookup.deadline == 104


def test_asks_soon_at_first_and_seldom_later() -> None:
    lookup = Lookup(FetchSettings(requery_first_s=0.5, requery_s=3))
    pauses: list[float] = []
    for now in range(0, 100, 10):
        lookup.queries("a.bin", now, partial=True)
        lookup.answered(now, is_alone=False)
        assert lookup.deadline is not None
        pauses.append(lookup.deadline - now)
    assert pauses == [0.5, 1.0, 2.0, *[3.0] * 7]


def test_is_stalled_when_nothing_has_come_for_long_nor_is_coming() -> None:
    patience = Patience(STALLED_S)
    assert not patience.is_stalled(1e9)  # It has not begun.
    patience.succeeded(100)
    assert (patience.is_stalled(109.9), patience.is_stalled(110)) == (False, True)
    patience.heard(105)
    assert (patience.is_stalled(114.9), patience.is_stalled(115)) == (False, True)
    patience.succeeded(112)
    assert not patience.is_stalled(115)

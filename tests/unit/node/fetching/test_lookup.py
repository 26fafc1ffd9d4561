"""When the tracker is asked."""

from shoal.node.fetching.lookup import Lookup
from shoal.node.fetching.steps import QueryTracker
from shoal.node.scheduling.settings import FetchSettings


def test_asks_one_query_at_a_time_and_sooner_with_nobody_to_ask() -> None:
    lookup = Lookup(FetchSettings(requery_first_s=3, requery_s=3, requery_alone_s=0.5))
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

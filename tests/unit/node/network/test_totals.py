"""The sums of what all fetches of a node received."""

from shoal.node.fetching.report import Tally
from shoal.node.network.totals import MOST_PEERS, Totals


def test_counts_a_fetch_while_it_goes_on_and_after_it_is_over() -> None:
    totals = Totals()
    tally = Tally()
    with totals.counting(tally):
        tally.by_holder["n1"] += 10
        tally.right_chunks, tally.wrong_chunks = 1, 2
        assert totals.read().by_peer == {"n1": 10}
        tally.by_holder["n1"] += 5
        tally.by_holder["n2"] += 1
        tally.duplicate_chunks, tally.retries = 3, 4
        for seconds in (0.0005, 0.01, 0.02, 100.0):
            tally.waited(seconds)
        assert totals.read().waits == [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1]
        with totals.counting(Tally(lost_holders=6, reused_bytes=7)):
            pass
    tally.by_holder["n1"] += 100  # Nobody counts any more.
    received = totals.read()
    assert received.by_peer == {"n1": 15, "n2": 1}
    assert received.waits == [1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 1]
    assert 100.03 < received.waited_s < 100.04
    assert received.chunks == {"ok": 1, "wrong": 2, "duplicate": 3}
    assert (received.retries, received.lost_holders, received.reused_bytes) == (4, 6, 7)


def test_a_series_never_goes_back_however_many_peers_there_are() -> None:
    totals = Totals()
    for number in range(MOST_PEERS + 2):
        tally = Tally()
        tally.by_holder[f"n{number}"] += 1
        with totals.counting(tally):
            before = totals.read().by_peer
        assert totals.read().by_peer == before
    assert totals.read().by_peer["other"] == 2

"""What a download has cost."""

from shoal.node.fetching.tally import Tally


def test_adds_up_what_was_fetched_from_all() -> None:
    tally = Tally(reused_bytes=5)
    tally.by_holder["n1"] += 10
    tally.by_holder["n2"] += 20
    tally.by_holder["n1"] += 1
    assert tally.fetched_bytes == 31

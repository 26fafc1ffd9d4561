"""What flows, and what could."""

from shoal.dashboard.picture import Row
from shoal.dashboard.throughput import KEPT_S, History, Sample, sample


def row(host: str, got: int = 0, sent: int = 0, link: int = 0) -> Row:
    rates = {"got": got, "sent": sent, "link": link}
    return {"host": host, "state": "alive", "fetching": [1] * (got > 0), **rates}


def test_adds_up_what_all_nodes_tell() -> None:
    rows = [row("a", sent=30), row("b", got=10, sent=5), row("c", got=20)]
    assert sample(rows, 100, 7.0) == Sample(7.0, 30, 35, 200, 2)


def test_nodes_of_one_host_share_its_link() -> None:
    assert sample([row("a", got=1), row("a", got=2), row("b", sent=3)], 100, 0.0).bound == 100


def test_there_is_no_bound_within_one_host() -> None:
    assert sample([row("a", got=1), row("a", sent=2)], 100, 0.0).bound is None


def test_believes_a_card_more_than_the_option() -> None:
    assert sample([row("a", got=1, link=40), row("b", got=2)], 100, 0.0).bound == 140


def test_there_is_no_bound_if_any_link_is_unknown() -> None:
    assert sample([row("a", got=1, link=40), row("b", got=2)], 0, 0.0).bound is None


def test_there_is_no_bound_while_nobody_receives() -> None:
    assert sample([row("a", sent=1, link=40)], 100, 0.0).bound is None


def test_keeps_a_sample_each_second_and_for_a_while() -> None:
    history = History()
    told = [history.add(sample([], 0, at)) for at in (0.0, 0.5, 1.0, KEPT_S + 0.5)]
    assert told == [True, False, True, True]
    assert [one.at for one in history.samples] == [1.0, KEPT_S + 0.5]

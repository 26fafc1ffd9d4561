"""The lines of the log."""

import logging
from typing import get_args

import pytest
from shoal.broker.reporter import Reporter, line
from shoal.broker.settings import ServerSettings
from shoal.broker.tracking import events

SEEDS = "seeds.txt"
MANY = {"holders", "offline"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (events.NodeJoined("n1", "tcp://h:1"), "n1 joined at tcp://h:1"),
        (events.NodeLeft("n1"), "n1 left"),
        (events.NodeFellSilent("n3"), "n3 went silent"),
        (
            events.NodeForgotten("n3", 86_450),
            "forgot n3: silent for 24 h and not in the cluster file",
        ),
        (events.NodeRefused("n1", "why"), "rejected an update from n1: why"),
        (events.HolderAdded("n1", SEEDS), "n1 holds seeds.txt"),
        (events.PartialHolderAdded("n1", SEEDS), "n1 holds part of seeds.txt"),
        (
            events.PushReached(SEEDS, 1, 3),
            "1 of 3 nodes hold seeds.txt, which is pushed",
        ),
        (events.PushReached(SEEDS, 3, 3), "the push of seeds.txt is done: 3 of 3 nodes"),
        (events.HolderWithdrew("n1", SEEDS), "n1 no longer holds seeds.txt"),
        (events.HolderTakenOff("n1", SEEDS), "n1 no longer holds seeds.txt (it requested it)"),
        (
            events.ClaimRefused("n2", SEEDS, 3, "n1"),
            "n2 cannot publish seeds.txt: n1 published different content as v3",
        ),
        (
            events.ClaimRefused("n2", SEEDS, 3, None),
            "n2 cannot publish seeds.txt: another node published different content as v3",
        ),
        (events.Queried(SEEDS, "n1", ("n3", "n2"), ()), "n1 asked for seeds.txt: sent to n2, n3"),
        (
            events.Queried(SEEDS, None, (), ("n2",)),
            "someone asked for seeds.txt: all holders are silent (n2)",
        ),
        (events.Queried(SEEDS, "n1", (), ()), "n1 asked for seeds.txt: no holders"),
        (
            events.Queried(SEEDS, "n1", tuple(f"n{index}" for index in range(10, 60)), ()),
            "n1 asked for seeds.txt: sent to n10, n11, n12, n13, n14, n15, n16, n17 and 42 more",
        ),
    ],
)
def test_tells_an_event_as_a_sentence(event: events.Event, expected: str) -> None:
    assert line(event) == expected


def test_tells_every_kind_of_event() -> None:
    for kind in get_args(events.Event):
        assert line(kind(*[() if field in MANY else 0 for field in kind.__struct_fields__]))


def test_unprintable_characters_are_escaped() -> None:
    said = line(events.HolderAdded("n1", "a\u202e\x1b[31m\nb"))
    assert said == r"n1 holds a\u202e\x1b[31m\nb"


def test_a_line_is_not_endless() -> None:
    assert len(line(events.HolderAdded("n1", "x" * 4096))) < 500


def test_a_flood_of_events_is_not_one_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shoal.tracker")
    reporter = Reporter(ServerSettings(log_lines_per_s=10, log_burst_lines=20))
    reporter.tell([events.NodeLeft("n1")] * 1000, now=100)
    assert len(caplog.messages) == 20
    caplog.clear()
    reporter.warn("a bug\n", now=100.25)
    assert caplog.messages == []
    reporter.tell([], now=101)
    assert caplog.messages == ["981 lines omitted in 1.0 s"]
    caplog.clear()
    reporter.warn("a bug\n", now=101.5)
    assert caplog.messages == [r"a bug\n"]


def test_in_a_flood_that_goes_on_whole_seconds_of_lines_are_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And not a line, a note of what is missing, and a line again."""
    caplog.set_level(logging.INFO, "shoal.tracker")
    reporter = Reporter(ServerSettings(log_lines_per_s=100, log_burst_lines=1000))
    for tenth in range(300):  # 1000 events a second for 30 s.
        reporter.tell([events.NodeLeft("n1")] * 100, now=tenth / 10)
    notes = [message for message in caplog.messages if "omitted" in message]
    written = len(caplog.messages) - len(notes)
    assert 1000 + 28 * 100 <= written <= 1000 + 30 * 100
    assert len(notes) <= 30
    assert sum(int(note.split()[0]) for note in notes) <= 30_000 - written


def test_few_lines_are_all_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shoal.tracker")
    reporter = Reporter(ServerSettings(log_lines_per_s=10, log_burst_lines=20))
    for second in range(30):
        reporter.tell([events.NodeLeft("n1")] * 10, now=second)
    assert caplog.messages == ["n1 left"] * 300


def test_a_burst_that_is_shorter_than_a_second_ends_a_gap(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reporter = Reporter(ServerSettings(log_lines_per_s=10, log_burst_lines=2))
    for _ in range(5):
        reporter.warn("a bug", now=1)
    reporter.tell([], now=1.25)
    assert caplog.messages == ["a bug", "a bug", "3 lines omitted in 0.2 s"]

"""The lines of the log."""

import logging
from typing import get_args

import pytest
from shoal.broker.reporter import Reporter, line
from shoal.broker.settings import ServerSettings
from shoal.broker.tracking import events

SEEDS = "seeds.txt"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (events.NodeJoined("n1", "tcp://h:1"), "n1 is there, at tcp://h:1"),
        (events.NodeLeft("n1"), "n1 has left"),
        (events.NodeFellSilent("n3"), "n3 is silent"),
        (
            events.NodeForgotten("n3"),
            "n3 is forgotten: silent for a day, and not in the cluster file",
        ),
        (events.NodeRefused("n1", "why"), "n1 is refused: why"),
        (events.HolderAdded("n1", SEEDS), "n1 added to the holders of seeds.txt"),
        (events.PartialHolderAdded("n1", SEEDS), "n1 added to the holders of seeds.txt, in part"),
        (
            events.HolderWithdrew("n1", SEEDS),
            "n1 taken off the holders of seeds.txt: it no longer has it",
        ),
        (
            events.HolderTakenOff("n1", SEEDS),
            "n1 taken off the holders of seeds.txt: it asked for it",
        ),
        (
            events.ClaimRefused("n2", SEEDS, 3, "n1"),
            "n2's seeds.txt was not accepted: n1 published other content as v3",
        ),
        (
            events.ClaimRefused("n2", SEEDS, 3, None),
            "n2's seeds.txt was not accepted: another node published other content as v3",
        ),
        (events.Queried(SEEDS, "n1", ("n3", "n2"), ()), "seeds.txt? n1 is sent to n2, n3"),
        (
            events.Queried(SEEDS, None, (), ("n2",)),
            "seeds.txt? somebody is told that its holders are silent: n2",
        ),
        (events.Queried(SEEDS, "n1", (), ()), "seeds.txt? n1 is told that nobody holds it"),
        (
            events.Queried(SEEDS, "n1", tuple(f"n{index}" for index in range(10, 60)), ()),
            "seeds.txt? n1 is sent to n10, n11, n12, n13, n14, n15, n16, n17 and 42 more",
        ),
    ],
)
def test_tells_an_event_as_a_sentence(event: events.Event, expected: str) -> None:
    assert line(event) == expected


def test_tells_every_kind_of_event() -> None:
    for kind in get_args(events.Event):
        fields = dict.fromkeys(kind.__dataclass_fields__, ())
        assert line(kind(**fields))


def test_what_does_not_print_is_escaped() -> None:  # fault 73
    said = line(events.HolderAdded("n1", "a\u202e\x1b[31m\nb"))
    assert said == r"n1 added to the holders of a\u202e\x1b[31m\nb"


def test_a_line_is_not_endless() -> None:
    assert len(line(events.HolderAdded("n1", "x" * 4096))) < 500


def test_a_flood_of_events_is_not_one_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shoal.tracker")
    reporter = Reporter(ServerSettings(log_lines_per_s=10, log_burst_lines=20))
    reporter.tell([events.NodeLeft("n1")] * 1000, now=100)
    assert len(caplog.messages) == 20
    caplog.clear()
    reporter.warn("a bug\n", now=100.25)
    assert caplog.messages == ["980 lines are left out here", r"a bug\n"]
    caplog.clear()
    reporter.tell([events.NodeLeft("n1")] * 1000, now=101.125)
    assert len(caplog.messages) == 10

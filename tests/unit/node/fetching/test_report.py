"""What a download reports: what it cost, what bounded it, and why it failed."""

import collections
from typing import Any

import msgspec
import pytest
from shoal.node.fetching import report, steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.report import Bound, Measured, Tally
from shoal.node.fetching.roster import Trouble
from shoal.protocol.errors import IntegrityError, NobodyAliveError, NotFoundError, TimedOutError

from tests.unit.node.fetching.scene import Scene
from tests.unit.node.fetching.test_roster import LIED, LOST, a_roster

MB = 1_000_000
PLAIN = Measured(elapsed_s=10.0, best_rate=12.5 * MB, working_s=1.0, disk_s=0.5, link_rate=None)
ESCAPE = "\x1b[31m"


def judged(holders: int = 1, askers: int = 1, starved_s: float = 0.0, **measured: Any) -> Bound:
    """Return what bounded a fetch of 100 MB."""
    names = [f"n{number}" for number in range(holders)]
    by_holder = collections.Counter(dict.fromkeys(names, 100 * MB // max(1, holders)))
    tally = Tally(by_holder=by_holder, askers_weighed=askers * 100 * MB, starved_s=starved_s)
    return report.judge("n3", tally, msgspec.structs.replace(PLAIN, **measured))


def test_the_best_rate_seen_is_what_was_possible() -> None:
    assert (judged().bound_s, judged().ratio) == (8.0, 0.8)


def test_nothing_is_better_than_possible() -> None:
    """The first bytes of a transfer are in no span."""
    assert judged(best_rate=5.0 * MB).ratio == 1.0


@pytest.mark.parametrize(
    ("changes", "by", "reason"),
    [
        ({"disk_s": 6.0, "working_s": 9.9}, "disk", "the disk of n3"),
        ({"working_s": 9.0}, "processor", "a processor of n3"),
        ({"link_rate": 12.5 * MB}, "link", "the link of n3"),
        ({"limit_rate": 11 * MB, "working_s": 9.0}, "limit", "the limit set for n3"),
        ({"limit_rate": 20 * MB, "working_s": 9.0}, "processor", "a processor of n3"),
        ({"starved_s": 3.0}, "source", "the source, which for much of the time had given all"),
        ({"askers": 2}, "source", "source uplink, which others shared"),
    ],
)
def test_says_what_bounded_it(changes: dict[str, Any], by: str, reason: str) -> None:
    seen = judged(**changes)
    assert seen.bound_by == by
    assert seen.reason.startswith(reason)


def test_says_what_it_cannot_know() -> None:
    """Neither end can tell a holder's uplink from our link when nothing else uses either."""
    alone, two = judged(), judged(holders=2)
    assert alone.bound_by == two.bound_by == "path"
    assert alone.reason == (
        "its holder's uplink or the link of n3; which of them cannot be seen from here"
    )
    assert two.reason.startswith("its holders' uplinks or the link of n3")


def test_a_card_far_quicker_than_the_transfer_is_not_what_bounded_it() -> None:
    assert judged(link_rate=125.0 * MB).bound_by == "path"


@pytest.mark.parametrize("changes", [{"elapsed_s": 0.5}, {"best_rate": 0.0}, {"holders": 0}])
def test_what_is_too_little_is_not_judged(changes: dict[str, Any]) -> None:
    seen = judged(**changes)
    assert (seen.bound_s, seen.ratio, seen.bound_by) == (None, None, "unknown")


def finished() -> Download:
    scene = Scene()
    scene.wait()
    scene.found("n1 n2")
    scene.send_manifest("n1")
    scene.feed(steps.StagingOpened(0b0001, 0b1111))
    for node in ("n1", "n2", "n1"):
        scene.send(node)
    return scene.download


def test_tells_bytes_by_where_they_came_from() -> None:
    measured = Measured(
        elapsed_s=1.23456789, best_rate=30.0, working_s=0.1, disk_s=0.1, link_rate=None
    )
    fetched = report.fetched(finished(), "me", "/f/a.bin", measured)
    assert (fetched.name, fetched.path, fetched.elapsed_s) == ("a.bin", "/f/a.bin", 1.234568)
    assert (fetched.size_bytes, fetched.reused_bytes, fetched.fetched_bytes) == (40, 10, 30)
    assert fetched.holders == {"n1": 20, "n2": 10}
    assert (fetched.duplicate_bytes, fetched.wrong_chunks, fetched.lost_holders) == (0, 0, 0)
    assert fetched.retries == 0
    assert (fetched.bound_s, fetched.ratio, fetched.bound_by) == (1.0, 0.81, "path")
    assert fetched.bound_reason.startswith("its holders' uplinks or the link of me")


def test_adds_up_what_was_fetched_from_all() -> None:
    tally = Tally(reused_bytes=5)
    for node, count in (("n1", 10), ("n2", 20), ("n1", 1)):
        tally.by_holder[node] += count
    assert (tally.fetched_bytes, tally.have_bytes) == (31, 36)


def test_no_such_file() -> None:
    fail = report.no_such_file(f"a{ESCAPE}")
    assert fail.kind is NotFoundError
    assert fail.message.startswith(r"no such file was found: a\x1b[31m; ")


def test_a_proven_lie_is_what_counts() -> None:
    roster = a_roster("n1 n2")
    roster.part_with("n1", LIED, 0)
    roster.part_with("n2", LOST, 0)
    fail = report.nobody_delivers("a.bin", roster, [])
    assert fail.kind is IntegrityError
    assert "n1 sent wrong bytes; n2 closed the connection" in fail.message


def test_nobody_is_there() -> None:
    roster = a_roster("n1")
    roster.part_with("n1", Trouble("cannot be reached"), 0)
    fail = report.nobody_delivers("a.bin", roster, ["n9"])
    assert fail.kind is NobodyAliveError
    assert fail.message.startswith("nobody alive holds a.bin: n1 cannot be reached; ")


def test_names_those_who_are_offline() -> None:
    fail = report.nobody_delivers("a.bin", a_roster(), ["n8", "n9"])
    assert fail.message.startswith("nobody alive holds a.bin: offline: n8, n9; ")
    fail = report.nobody_delivers("a.bin", a_roster(), [])
    assert fail.message.startswith("nobody alive holds a.bin; ")


def test_those_who_are_there_send_nothing() -> None:
    fail = report.nobody_delivers("a.bin", a_roster("n1 n2"), [])
    assert fail.kind is TimedOutError
    assert fail.message.startswith("n1, n2 sent nothing of a.bin for long; ")

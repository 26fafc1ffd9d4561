"""What bounded a fetch: from what was measured, and no more than that shows."""

import msgspec
import pytest
from shoal.node.fetching.yardstick import Measured, judge

MB = 1_000_000
PLAIN = Measured(
    node="n3",
    elapsed_s=10.0,
    fetched_bytes=100 * MB,
    best_rate=12.5 * MB,
    working_s=1.0,
    disk_s=0.5,
    starved_s=0.0,
    holders=1,
    askers=1.0,
    link_rate=None,
)


def test_the_best_rate_seen_is_what_was_possible() -> None:
    seen = judge(PLAIN)
    assert (seen.bound_s, seen.ratio) == (8.0, 0.8)


def test_nothing_is_better_than_possible() -> None:
    """The first bytes of a transfer are in no span."""
    assert judge(msgspec.structs.replace(PLAIN, best_rate=5.0 * MB)).ratio == 1.0


@pytest.mark.parametrize(
    ("changes", "by", "reason"),
    [
        ({"disk_s": 6.0, "working_s": 9.9}, "disk", "the disk of n3"),
        ({"working_s": 9.0}, "processor", "a processor of n3"),
        ({"link_rate": 12.5 * MB}, "link", "the link of n3"),
        ({"starved_s": 3.0}, "source", "the source, which for much of the time had given all"),
        ({"askers": 2.0}, "source", "source uplink, which others shared"),
    ],
)
def test_says_what_bounded_it(changes: dict[str, float], by: str, reason: str) -> None:
    seen = judge(msgspec.structs.replace(PLAIN, **changes))
    assert seen.bound_by == by
    assert seen.reason.startswith(reason)


def test_says_what_it_cannot_know() -> None:
    """Neither end can tell a holder's uplink from our link when nothing else uses either."""
    alone, two = judge(PLAIN), judge(msgspec.structs.replace(PLAIN, holders=2))
    assert alone.bound_by == two.bound_by == "path"
    assert alone.reason == (
        "its holder's uplink or the link of n3; which of them cannot be seen from here"
    )
    assert two.reason.startswith("its holders' uplinks or the link of n3")


def test_a_card_far_quicker_than_the_transfer_is_not_what_bounded_it() -> None:
    assert judge(msgspec.structs.replace(PLAIN, link_rate=125.0 * MB)).bound_by == "path"


@pytest.mark.parametrize("changes", [{"elapsed_s": 0.5}, {"best_rate": 0.0}, {"fetched_bytes": 0}])
def test_what_is_too_little_is_not_judged(changes: dict[str, float]) -> None:
    seen = judge(msgspec.structs.replace(PLAIN, **changes))
    assert (seen.bound_s, seen.ratio, seen.bound_by) == (None, None, "unknown")

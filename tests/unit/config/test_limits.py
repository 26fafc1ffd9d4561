"""The limits that a cluster file may set, and those that it may not."""

from pathlib import Path

import pytest
from shoal.config import cluster
from shoal.config.limits import NodeLimits, TrackerLimits
from shoal.protocol.errors import OperatorError
from shoal.protocol.rates import Hours, Timetable

TRACKER = "tracker: {address: 'tcp://127.0.0.1:12000'%s}\n"
NODES = """\
nodes:
  n1: {address: 'tcp://127.0.0.1:11001', folder: a}
  n2: {address: 'tcp://127.0.0.1:11002', folder: b%s}
"""


def loaded(folder: Path, tracker: str = "", every: str = "", n2: str = "") -> cluster.Cluster:
    path = folder / "lan.yaml"
    path.write_text(TRACKER % tracker + NODES % n2 + every)
    return cluster.load(path)


def test_by_default_there_are_none(tmp_path: Path) -> None:
    found = loaded(tmp_path, every="limits: {}\n")
    assert found.trackers[0].limits == TrackerLimits()
    assert {node.limits for node in found.nodes.values()} == {NodeLimits()}


def test_a_nodes_own_limits_win_over_those_of_all(tmp_path: Path) -> None:
    every = "limits: {fetch_memory_mb: 200, stalled_s: 60}\n"
    found = loaded(tmp_path, every=every, n2=", limits: {stalled_s: 90.5, rescan_s: 5}")
    assert found.nodes["n1"].limits == NodeLimits(fetch_memory_mb=200, stalled_s=60)
    assert found.nodes["n2"].limits == NodeLimits(200, 90.5, 5)


def test_rates_may_differ_by_the_time_of_day(tmp_path: Path) -> None:
    every = 'limits: {up: {"08:00-18:00": 20MB/s, "22:00-06:00": unlimited, otherwise: 1GB/s}}\n'
    found = loaded(tmp_path, every=every, n2=", limits: {up: unlimited, down: 100Mbit/s}")
    by_day = Hours(480, 1080, 20_000_000), Hours(1320, 360, None)
    assert found.nodes["n1"].limits.up == Timetable(1_000_000_000, by_day)
    assert found.nodes["n1"].limits.down is None
    assert found.nodes["n2"].limits.up == Timetable(None)
    assert found.nodes["n2"].limits.down == Timetable(12_500_000)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (
            "{up: 20}",
            "limits.up: found the number 20; expected a rate from 100kB/s to 1000GB/s, as",
        ),
        ("{up: 20MB}", "limits.up: found 20MB; expected a rate from 100kB/s to 1000GB/s, as in 20"),
        ("{down: [1]}", "limits.down: found a list; expected a rate"),
        ("{up: {8-18: 20MB/s}}", "found 8-18 as key; expected hours such as"),
        ("{up: {otherwise: 5}}", "limits.up.otherwise: found the number 5; expected a rate from"),
        (
            "{up: {'08:00-12:00': 1MB/s, '11:00-13:00': 2MB/s}}",
            "limits.up.11:00-13:00: overlaps other hours; expected each time of the day once",
        ),
    ],
)
def test_what_is_no_rate_is_refused(tmp_path: Path, limits: str, error: str) -> None:
    with pytest.raises(OperatorError) as refused:
        loaded(tmp_path, every=f"limits: {limits}\n")
    assert error in str(refused.value)


def test_background_mode_may_be_on_for_all_and_off_for_one(tmp_path: Path) -> None:
    every = "limits: {background: true}\n"
    found = loaded(tmp_path, every=every, n2=", limits: {background: false}")
    assert [node.limits.background for node in found.nodes.values()] == [True, False]


def test_what_all_may_send_together_is_a_limit_of_all(tmp_path: Path) -> None:
    assert loaded(tmp_path).cluster_up is None
    found = loaded(tmp_path, every="limits: {cluster_up: 30MB/s, up: 20MB/s}\n")
    assert found.cluster_up == 30_000_000
    assert found.nodes["n1"].limits == NodeLimits(up=Timetable(20_000_000))
    with pytest.raises(OperatorError, match="cluster_up: unknown key"):
        loaded(tmp_path, n2=", limits: {cluster_up: 30MB/s}")
    with pytest.raises(OperatorError, match="cluster_up: found a mapping; expected a rate"):
        loaded(tmp_path, every="limits: {cluster_up: {otherwise: 30MB/s}}\n")


def test_the_tracker_has_limits_of_its_own(tmp_path: Path) -> None:
    limits = "lease_s: 45, nodes: 10, versions: 20, holdings: 30, holdings_per_node: 40"
    found = loaded(tmp_path, tracker=f", limits: {{{limits}}}").trackers[0].limits
    assert found == TrackerLimits(45, 10, 20, 30, 40)
    assert isinstance(found.nodes, int)


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        ("{stalled: 5}", "5: limits.stalled: unknown key; expected one of fetch_memory_mb,"),
        ("{stalled_s: 5}", "5: limits.stalled_s: found 5; expected a number from 10 to 604,800 s"),
        ("{rescan_s: 1e3}", "5: limits.rescan_s: found the text 1e3; expected a number from 1 to"),
        ("{fetch_memory_mb: 8}", "found 8; expected a number from 16 to 100,000 megabytes"),
        ("{lease_s: 30}", "5: limits.lease_s: unknown key; expected one of fetch_memory_mb, stall"),
        ("", "5: limits: found nothing; expected a mapping with the keys fetch_memory_mb, stalled"),
        ("48", "5: limits: found the number 48; expected a mapping with the keys fetch_memory_mb"),
    ],
)
def test_what_is_no_limit_is_refused(tmp_path: Path, limits: str, error: str) -> None:
    with pytest.raises(OperatorError) as refused:
        loaded(tmp_path, every=f"limits: {limits}\n")
    assert error in str(refused.value)


@pytest.mark.parametrize(
    ("limit", "error"),
    [
        ("lease_s: 9", "lease_s: found 9; expected a number from 15 to 3,600 seconds"),
        ("nodes: 1.5", "nodes: found 1.5; expected a whole number from 1 to 1,000,000,000"),
        ("nodes: 0", "nodes: found 0; expected a whole number from 1 to 1,000,000,000"),
        ("rescan_s: 9", "rescan_s: unknown key; expected one of lease_s, nodes, versions,"),
    ],
)
def test_what_is_no_limit_of_the_tracker_is_refused(tmp_path: Path, limit: str, error: str) -> None:
    with pytest.raises(OperatorError) as refused:
        loaded(tmp_path, tracker=f", limits: {{{limit}}}")
    assert f"1: tracker.limits.{error}" in str(refused.value)


EXTREMES = {
    **{str(value): value for value in (-1, 0, 1, 2**31 - 1, 2**63, -(2**63))},
    "10^400": 10**400,  # It is no float.
}
RANGES = {
    "fetch_memory_mb": (16, 10**5),
    "stalled_s": (10, 604_800),
    "rescan_s": (1, 86_400),
    "lease_s": (15, 3600),
    **dict.fromkeys(("nodes", "versions", "holdings", "holdings_per_node"), (1, 10**9)),
}


@pytest.mark.parametrize("value", EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("name", RANGES)
def test_a_number_is_within_its_range_or_refused(tmp_path: Path, name: str, value: int) -> None:
    """Fault 134."""
    limit, least_and_most = f"{{{name}: {value}}}", RANGES[name]
    is_the_trackers = name not in NodeLimits.__struct_fields__
    given = {"tracker": f", limits: {limit}"} if is_the_trackers else {"every": f"limits: {limit}"}
    if least_and_most[0] <= value <= least_and_most[1]:
        found = loaded(tmp_path, **given)
        limits = found.trackers[0].limits if is_the_trackers else found.nodes["n1"].limits
        assert getattr(limits, name) == value
        return
    with pytest.raises(OperatorError, match=rf"{name}: .*expected a (whole )?number") as refused:
        loaded(tmp_path, **given)
    assert "\n" not in str(refused.value)

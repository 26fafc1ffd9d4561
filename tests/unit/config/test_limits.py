"""The limits that a cluster file may set, and those that it may not."""

from pathlib import Path

import pytest
from shoal.config import cluster
from shoal.config.limits import NodeLimits, TrackerLimits
from shoal.protocol.errors import OperatorError

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
    assert found.tracker.limits == TrackerLimits()
    assert {node.limits for node in found.nodes.values()} == {NodeLimits()}


def test_a_nodes_own_limits_win_over_those_of_all(tmp_path: Path) -> None:
    every = "limits: {fetch_memory_mb: 200, stalled_s: 60}\n"
    found = loaded(tmp_path, every=every, n2=", limits: {stalled_s: 90.5, rescan_s: 5}")
    assert found.nodes["n1"].limits == NodeLimits(fetch_memory_mb=200, stalled_s=60)
    assert found.nodes["n2"].limits == NodeLimits(200, 90.5, 5)


def test_the_tracker_has_limits_of_its_own(tmp_path: Path) -> None:
    limits = "lease_s: 45, nodes: 10, versions: 20, holdings: 30, holdings_per_node: 40"
    found = loaded(tmp_path, tracker=f", limits: {{{limits}}}").tracker.limits
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

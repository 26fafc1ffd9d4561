"""What a node is told of itself."""

from pathlib import Path

from shoal.api.folders import identity_of
from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.config.limits import NodeLimits
from shoal.node.orders.identity import Identity

TRACKER = TrackerEntry("tcp://127.0.0.1:12000", Path("/srv"))


def told(limits: NodeLimits) -> Identity:
    entry = NodeEntry("n1", "tcp://127.0.0.1:11001", Path("/n1"), quota_bytes=7, limits=limits)
    return identity_of(Cluster(Path("/lan.yaml"), (TRACKER,), {"n1": entry}, {}), entry)


def test_what_the_cluster_file_does_not_set_is_the_nodes_default() -> None:
    identity = told(NodeLimits())
    assert identity.trackers.addresses == (TRACKER.address,)
    assert identity == Identity(
        "n1",
        "tcp://127.0.0.1:11001",
        Path("/n1"),
        identity.trackers,
        7,
        listed={"n1": "tcp://127.0.0.1:11001"},
    )


def test_the_limits_of_the_cluster_file_reach_the_node() -> None:
    identity = told(NodeLimits(fetch_memory_mb=20, stalled_s=60, rescan_s=5))
    assert identity.fetching.total_window_bytes == 20_000_000
    assert (identity.fetching.stalled_s, identity.rescan_s) == (60, 5)

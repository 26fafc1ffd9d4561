"""Which nodes are alive, and what interrupted fetches have left on this machine."""

import msgspec
from shoal.api.asking import pages
from shoal.config.cluster import Cluster
from shoal.node.staging.remains import Remain, found
from shoal.protocol.messages import NodeStatus, Status, TrackerStatus


class Overview(msgspec.Struct, frozen=True):
    """The tracker as it sees itself, and every node it has heard of or read of, by name."""

    address: str  # The tracker's.
    uptime_s: float
    counters: dict[str, int]  # How many of what it has done since it was started.
    nodes: tuple[NodeStatus, ...]


def status(tracker_address: str) -> Overview:
    """Return the tracker's picture of itself and the nodes.

    Raises:
        TrackerError: the tracker does not answer, or not sensibly.
    """

    def names(page: TrackerStatus) -> list[str]:
        return [node.node for node in page.nodes]

    every = list(pages(tracker_address, Status, TrackerStatus, names))
    last = every[-1]
    nodes = tuple(node for page in every for node in page.nodes)
    return Overview(last.address, last.uptime_ms / 1000, last.counters, nodes)


def liveness(node: NodeStatus | None) -> str:
    """Return the one word for whether a node is there: alive, offline or never seen."""
    if node is not None and node.alive:
        return "alive"
    is_known = node is not None and (node.silent_ms is not None or node.spoke)
    return "offline" if is_known else "never seen"


def unfinished(cluster: Cluster) -> dict[str, list[Remain]]:
    """Return what fetches have left, or are filling, in those nodes' folders that are here.

    By node. Nothing is asked: the folders are looked at.
    """
    remains = {name: found(entry.folder) for name, entry in cluster.nodes.items()}
    return {name: left for name, left in remains.items() if left}

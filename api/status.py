"""Which nodes are alive, and what the tracker has been doing."""

import msgspec
from shoal.api.asking import Line
from shoal.protocol.keyring import Towards
from shoal.protocol.messages import NodeStatus, Status, TrackerStatus


class Overview(msgspec.Struct, frozen=True):
    """The tracker as it sees itself, and every node it has heard of or read of, by name."""

    address: str  # The tracker's.
    uptime_s: float
    counters: dict[str, int]  # How many of what it has done since it was started.
    nodes: tuple[NodeStatus, ...]


def status(tracker_address: str, towards: Towards | None = None) -> Overview:
    """Return the tracker's picture of itself and the nodes.

    Args:
        tracker_address: as in tcp://192.168.1.10:12000.
        towards: with which keys (api.security); None if the cluster file has none.

    Raises:
        TrackerError: the tracker does not answer, or not sensibly.
    """
    with Line(tracker_address, towards) as line:
        return overview(line)


def overview(line: Line) -> Overview:
    """Return the tracker's picture of itself and the nodes; raises as `Line.pages`."""

    def names(page: TrackerStatus) -> list[str]:
        return [node.node for node in page.nodes]

    every = list(line.pages(Status, TrackerStatus, names))
    last = every[-1]
    nodes = tuple(node for page in every for node in page.nodes)
    return Overview(last.address, last.uptime_ms / 1000, last.counters, nodes)


def liveness(node: NodeStatus | None) -> str:
    """Return the one word for whether a node is there: alive, offline or never seen."""
    if node is not None and node.alive:
        return "alive"
    is_known = node is not None and (node.silent_ms is not None or node.spoke)
    return "offline" if is_known else "never seen"

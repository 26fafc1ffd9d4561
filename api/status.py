"""Which nodes are alive, and what the tracker has been doing."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
from shoal.api.asking import Line
from shoal.config.cluster import Cluster
from shoal.protocol.errors import OperatorError
from shoal.protocol.keyring import Towards
from shoal.protocol.messages import NodeStatus, Status, TrackerStatus
from shoal.protocol.trackers import Trackers


class Overview(msgspec.Struct, frozen=True):
    """The tracker as it sees itself, and every node it has heard of or read of, by name."""

    address: str  # The tracker's.
    uptime_s: float
    counters: dict[str, int]  # How many of what it has done since it was started.
    nodes: tuple[NodeStatus, ...]


def status(trackers: Trackers, towards: Towards | None = None) -> Overview:
    """Return the tracker's picture of itself and the nodes.

    Args:
        trackers: those to ask (asking.trackers_of).
        towards: with which keys (api.security); None if the cluster file has none.

    Raises:
        TrackerError: the tracker does not answer, or not sensibly.
    """
    with Line(trackers, towards) as line:
        return overview(line)


class TrackerState(msgspec.Struct, frozen=True):
    """How one tracker is."""

    address: str
    error: OperatorError | None = None  # Why it does not answer.
    uptime_s: float = 0.0
    trouble: str = ""  # Why it cannot save or share what it knows; empty if it can.


def tracker_states(cluster: Cluster, towards: Towards | None = None) -> list[TrackerState]:
    """Return how each tracker is, in the file's order; all are asked at the same time."""
    with ThreadPoolExecutor(len(cluster.trackers)) as pool:
        return list(pool.map(lambda at: _state(at, towards), cluster.tracker_addresses))


def _state(address: str, towards: Towards | None) -> TrackerState:
    try:
        with Line(Trackers([address]), towards) as line:
            told = line.ask(Status(), TrackerStatus)
    except OperatorError as error:
        return TrackerState(address, error)
    return TrackerState(address, None, told.uptime_ms / 1000, told.trouble)


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

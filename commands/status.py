"""`shoal status`: prints which nodes are alive, and what the tracker has been doing."""

from collections.abc import Sequence

import msgspec
from shoal.api.asking import trackers_of
from shoal.api.security import towards_tracker
from shoal.api.status import Overview, TrackerState, liveness, status, tracker_states
from shoal.api.unfinished import unfinished
from shoal.commands import terminal
from shoal.commands.discard import described
from shoal.commands.doing import brief, lines
from shoal.commands.exit_codes import ExitCode
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster, node_named
from shoal.protocol.errors import NotFoundError
from shoal.protocol.messages import NodeStatus


def run_status(cluster: Cluster, name: str | None = None, *, as_json: bool) -> ExitCode:
    """Print the tracker's picture of itself and the nodes, or of the node of that name."""
    towards = towards_tracker(cluster)
    overview = status(trackers_of(cluster), towards)
    if name is not None:
        return _tell_one(overview, cluster, name, as_json=as_json)
    trackers = tracker_states(cluster, towards)
    if as_json:
        terminal.put_json(_document(overview, trackers, cluster))
        return ExitCode.DONE
    for tracker in trackers:
        terminal.say(_tracker_line(tracker))
    rows = [["NODE", "ADDRESS", "STATE", "FILES", "LAST HEARD", "DOES"]]
    rows += [_row(node) for node in overview.nodes]
    put_table(rows, optional=(1, 4))
    for node, remains in unfinished(cluster).items():
        terminal.say(f"{node}: {described(node, remains)}")
    return ExitCode.DONE


def _tracker_line(tracker: TrackerState) -> str:
    if tracker.error is not None:
        return str(tracker.error)
    trouble = f"; {tracker.trouble}" if tracker.trouble else ""
    return f"tracker at {tracker.address}, up for {terminal.age(tracker.uptime_s)}{trouble}"


def _document(
    overview: Overview, trackers: Sequence[TrackerState], cluster: Cluster
) -> dict[str, object]:
    tracker = {"address": overview.address, "uptime_s": overview.uptime_s}
    return {
        "tracker": {**tracker, "counters": overview.counters},
        "trackers": [_tracker_document(one) for one in trackers],
        "nodes": [_node_document(node) for node in overview.nodes],
        "unfinished": [
            {"node": name, **msgspec.structs.asdict(one)}
            for name, remains in unfinished(cluster).items()
            for one in remains
        ],
    }


def _tracker_document(tracker: TrackerState) -> dict[str, object]:
    error = None if tracker.error is None else str(tracker.error)
    keys = {"address": tracker.address, "answers": error is None, "error": error}
    uptime_s = tracker.uptime_s if error is None else None
    return {**keys, "uptime_s": uptime_s, "trouble": tracker.trouble or None}


def _node_document(node: NodeStatus) -> dict[str, object]:
    silent_s = None if node.silent_ms is None else node.silent_ms / 1000
    keys = {"node": node.node, "address": node.address, "alive": node.alive}
    doing = None if node.doing is None else msgspec.to_builtins(node.doing)
    return {**keys, "files": node.files, "silent_s": silent_s, "doing": doing}


def _row(node: NodeStatus) -> list[str]:
    heard = "-" if node.silent_ms is None else f"{terminal.age(node.silent_ms / 1000)} ago"
    return [node.node, node.address, liveness(node), str(node.files), heard, brief(node.doing)]


def _tell_one(overview: Overview, cluster: Cluster, name: str, *, as_json: bool) -> ExitCode:
    """Print all that one node tells of itself.

    Raises:
        OperatorError: neither the tracker nor the cluster file knows it.
    """
    node = next((one for one in overview.nodes if one.node == name), None)
    if node is None:
        node_named(cluster, name)  # Raises, and says which there are.
        raise NotFoundError(f"the tracker does not know {name}; it has another cluster file")
    if as_json:
        terminal.put_json(_node_document(node))
        return ExitCode.DONE
    heard = "" if node.silent_ms is None else f", heard {terminal.age(node.silent_ms / 1000)} ago"
    terminal.put(f"{node.node} at {node.address}: {liveness(node)}{heard}; {node.files} files")
    for line in lines(node.doing) if node.doing is not None else ():
        terminal.put(line)
    return ExitCode.DONE

"""`shoal status`: prints which nodes are alive, and what the tracker has been doing."""

import msgspec
from shoal.api.security import towards_tracker
from shoal.api.status import Overview, liveness, status
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
    overview = status(cluster.tracker.address, towards_tracker(cluster))
    if name is not None:
        return _tell_one(overview, cluster, name, as_json=as_json)
    if as_json:
        terminal.put_json(_document(overview, cluster))
        return ExitCode.DONE
    terminal.say(f"tracker at {overview.address}, up for {terminal.age(overview.uptime_s)}")
    rows = [["NODE", "ADDRESS", "STATE", "FILES", "LAST HEARD", "DOES"]]
    rows += [_row(node) for node in overview.nodes]
    put_table(rows, optional=(1, 4))
    for node, remains in unfinished(cluster).items():
        terminal.say(f"{node}: {described(node, remains)}")
    return ExitCode.DONE


def _document(overview: Overview, cluster: Cluster) -> dict[str, object]:
    tracker = {"address": overview.address, "uptime_s": overview.uptime_s}
    return {
        "tracker": {**tracker, "counters": overview.counters},
        "nodes": [_node_document(node) for node in overview.nodes],
        "unfinished": [
            {"node": name, **msgspec.structs.asdict(one)}
            for name, remains in unfinished(cluster).items()
            for one in remains
        ],
    }


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

"""`shoal status`: prints which nodes are alive, and what the tracker has been doing."""

import msgspec
from shoal.api.status import Overview, liveness, status
from shoal.api.unfinished import unfinished
from shoal.commands import terminal
from shoal.commands.discard import described
from shoal.commands.exit_codes import ExitCode
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster
from shoal.protocol.messages import NodeStatus


def run_status(cluster: Cluster, *, as_json: bool) -> ExitCode:
    """Print the tracker's picture of itself and the nodes."""
    overview = status(cluster.tracker.address)
    if as_json:
        terminal.put_json(_document(overview, cluster))
        return ExitCode.DONE
    terminal.say(f"tracker at {overview.address}, up for {terminal.age(overview.uptime_s)}")
    rows = [["NODE", "ADDRESS", "STATE", "FILES", "LAST HEARD"]]
    rows += [_row(node) for node in overview.nodes]
    put_table(rows, optional=(1,))
    for name, remains in unfinished(cluster).items():
        terminal.say(f"{name}: {described(name, remains)}")
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
    return {**keys, "files": node.files, "silent_s": silent_s}


def _row(node: NodeStatus) -> list[str]:
    heard = "-" if node.silent_ms is None else f"{terminal.age(node.silent_ms / 1000)} ago"
    return [node.node, node.address, liveness(node), str(node.files), heard]

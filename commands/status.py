"""`shoal status`: who is alive, and what the tracker has been doing."""

import msgspec
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.listing import statuses
from shoal.commands.remains import described, remains_of
from shoal.commands.table import put_table
from shoal.commands.where import liveness
from shoal.config.cluster import Cluster
from shoal.protocol.messages import NodeStatus


def run_status(cluster: Cluster, *, as_json: bool) -> ExitCode:
    """Print the tracker's picture of itself and the nodes."""
    address = cluster.tracker.address
    found = list(statuses(address))
    page = found[-1]
    nodes = [node for each in found for node in each.nodes]
    if as_json:
        tracker = {"address": page.address, "uptime_s": page.uptime_ms / 1000}
        terminal.put_json(
            {
                "tracker": {**tracker, "counters": page.counters},
                "nodes": [_document(node) for node in nodes],
                "unfinished": [
                    {"node": entry.name, **msgspec.structs.asdict(one)}
                    for entry in cluster.nodes.values()
                    for one in remains_of(entry)
                ],
            }
        )
        return ExitCode.DONE
    uptime = terminal.age(page.uptime_ms / 1000)
    terminal.say(f"tracker at {page.address}, up for {uptime}")
    rows = [["NODE", "ADDRESS", "STATE", "FILES", "LAST HEARD"]]
    rows += [_row(node) for node in nodes]
    put_table(rows, optional=(1,))
    for entry in cluster.nodes.values():
        remains = remains_of(entry)  # Of folders on this machine.
        if remains:
            terminal.say(f"{entry.name}: {described(entry, remains)}")
    return ExitCode.DONE


def _document(node: NodeStatus) -> dict[str, object]:
    silent_s = None if node.silent_ms is None else node.silent_ms / 1000
    keys = {"node": node.node, "address": node.address, "alive": node.alive}
    return {**keys, "files": node.files, "silent_s": silent_s}


def _row(node: NodeStatus) -> list[str]:
    heard = "-" if node.silent_ms is None else f"{terminal.age(node.silent_ms / 1000)} ago"
    return [node.node, node.address, liveness(node), str(node.files), heard]

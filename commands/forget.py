"""`shoal forget`: has a node stop sharing something."""

from shoal.api.forget import forget
from shoal.commands import terminal
from shoal.commands.attended import attended
from shoal.commands.exit_codes import ExitCode
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.names import display


def run_forget(
    cluster: Cluster, entry: NodeEntry, what: str, *, delete: bool, as_json: bool
) -> ExitCode:
    """Have the node stop sharing something; with `delete`, delete its bytes too."""
    terminal.set_up_log()
    with attended(cluster, entry) as node:
        done = forget(node, what, delete=delete)
    if as_json:
        terminal.put_json({"name": done.name, "id": done.id, "deleted": done.deleted})
        return ExitCode.DONE
    what_it_was = f", {done.id}" if done.id else ""
    gone = " and deleted" if done.deleted else ""
    terminal.put(f"{display(done.name)}: no longer shared by {entry.name}{gone}{what_it_was}")
    if not done.deleted:
        place = display(str(entry.folder / done.name))
        terminal.say(f"the data is still in {place}; `shoal share` shares it again")
    return ExitCode.DONE

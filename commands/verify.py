"""`shoal verify`: has a node hash again what it holds, and heal what is damaged."""

from shoal.api.verify import verify
from shoal.commands import terminal
from shoal.commands.attended import attended
from shoal.commands.exit_codes import ExitCode
from shoal.commands.progress import ProgressView
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.control import Examined
from shoal.protocol.names import display


def run_verify(cluster: Cluster, entry: NodeEntry, what: str | None, *, as_json: bool) -> ExitCode:
    """Have the node verify what it holds; print the state of each file or directory."""
    terminal.set_up_log(quiet=True)
    with attended(cluster, entry) as node, ProgressView(quiet=as_json) as view:
        things = verify(node, what, view.show)
    if as_json:
        terminal.put_json(things)
    elif not things:
        terminal.say(f"{entry.name} holds nothing")
    for thing in () if as_json else things:
        terminal.put(_sentence(thing))
    if any(thing.trouble and not thing.changed for thing in things):
        return ExitCode.INTEGRITY
    return ExitCode.PARTLY_DONE if any(thing.trouble for thing in things) else ExitCode.DONE


def _sentence(thing: Examined) -> str:
    if thing.changed and thing.healed:
        return f"{display(thing.name)}: had been changed here; restored to what was published"
    if thing.changed and thing.damaged == thing.chunks == 0:
        return f"not shared: {display(thing.trouble)}"
    if thing.changed:
        return f"{display(thing.name)}: changed here and not restored: {display(thing.trouble)}"
    if not thing.damaged:
        return f"{display(thing.name)}: right, all {thing.chunks} chunks"
    damaged = f"{display(thing.name)}: {thing.damaged} of {thing.chunks} chunks"
    if thing.healed:
        return f"{damaged} were corrupt; healed"
    return f"{damaged} are corrupt; no longer sharing it: {display(thing.trouble)}"

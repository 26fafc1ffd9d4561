"""`shoal fetch --discard`: has a node remove what interrupted fetches have left."""

from collections.abc import Iterable

from shoal.api.discard import discard
from shoal.api.what import checked_what
from shoal.commands import terminal
from shoal.commands.attended import attended
from shoal.commands.exit_codes import ExitCode
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.staging.remains import Remain
from shoal.protocol.control import Discarded
from shoal.protocol.names import display


def run_discard(
    cluster: Cluster, entry: NodeEntry, what: list[str], *, as_json: bool, quiet: bool
) -> ExitCode:
    """Have the node remove what is left of fetches; print how much that was."""
    terminal.set_up_log(quiet=True)
    what = [checked_what(one) for one in what]
    discarded = []
    with attended(cluster, entry) as node:
        for one in what:
            discarded.append(discard(node, one))
            if not as_json and not quiet:
                terminal.put(_sentence(discarded[-1]))
    if as_json:
        documents = [
            {"what": done.what, "count": done.count, "freed_bytes": done.freed_bytes}
            for done in discarded
        ]
        terminal.put_json(documents[0] if len(documents) == 1 else documents)
    return ExitCode.DONE


def described(node: str, remains: Iterable[Remain]) -> str:
    """Return in one line what fetches have left, and how to remove it."""
    shown = ", ".join(
        f"{display(one.name) or one.id} {terminal.size(one.size_bytes)}"
        f" ({terminal.age(max(0.0, one.age_s))} old)"
        for one in remains
    )
    remedy = f"`shoal fetch NAME --discard --as {node}` removes them"
    return f"unfinished fetches, running or interrupted: {shown}; {remedy}"


def _sentence(done: Discarded) -> str:
    if not done.count:
        return f"{display(done.what)}: no interrupted fetch has left any data"
    return f"{display(done.what)}: freed {terminal.size(done.freed_bytes)}"

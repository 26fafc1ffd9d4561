"""What interrupted fetches have left on this machine: shown, and removed by `fetch --discard`."""

from collections.abc import Iterable

from shoal.commands import terminal
from shoal.commands.doing import Doer
from shoal.commands.exit_codes import ExitCode
from shoal.commands.fetch import checked_what
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.staging.remains import Remain, found
from shoal.protocol.control import Discarded, DiscardOrder
from shoal.protocol.names import display


def run_discard(
    cluster: Cluster, entry: NodeEntry, what: list[str], *, as_json: bool, quiet: bool
) -> ExitCode:
    """Have the node remove what is left of fetches; print how much that was.

    Raises:
        OperatorError: one of them is running.
    """
    terminal.set_up_log(quiet=True)
    what = [checked_what(one) for one in what]
    discarded = []
    with Doer(cluster, entry) as doer:
        for one in what:
            done = doer.carry_out(DiscardOrder(one), lambda _: None)
            assert isinstance(done, Discarded)
            discarded.append(done)
            if not as_json and not quiet:
                terminal.put(_sentence(done))
    if as_json:
        documents = [
            {"what": done.what, "count": done.count, "freed_bytes": done.freed_bytes}
            for done in discarded
        ]
        terminal.put_json(documents[0] if len(documents) == 1 else documents)
    return ExitCode.DONE


def remains_of(entry: NodeEntry) -> list[Remain]:
    """Return what fetches have left in a node's folder on this machine, or are still filling."""
    return found(entry.folder)


def described(entry: NodeEntry, remains: Iterable[Remain]) -> str:
    """Return what there is of them in one line, and how to be rid of it."""
    shown = ", ".join(
        f"{display(one.name) or one.id} {terminal.size(one.size_bytes)}"
        f" ({terminal.age(max(0.0, one.age_s))} old)"
        for one in remains
    )
    remedy = f"`shoal fetch NAME --discard --as {entry.name}` removes it"
    return f"unfinished fetches, running or interrupted: {shown}; {remedy}"


def _sentence(done: Discarded) -> str:
    if not done.count:
        return f"{display(done.what)}: no interrupted fetch has left anything"
    return f"{display(done.what)}: freed {terminal.size(done.freed_bytes)}"

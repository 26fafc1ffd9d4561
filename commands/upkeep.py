"""`shoal forget` and `shoal verify`: what a node does with what it holds."""

from collections.abc import Iterator

from shoal.commands import terminal
from shoal.commands.doing import Doer
from shoal.commands.exit_codes import ExitCode
from shoal.commands.fetch import checked_what
from shoal.commands.progress import ProgressView
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.control import Examined, ForgetOrder, Forgotten, Verified, VerifyOrder
from shoal.protocol.names import display


def run_forget(
    cluster: Cluster, entry: NodeEntry, what: str, *, delete: bool, as_json: bool
) -> ExitCode:
    """Have the node share a thing no longer; delete its bytes if that is wanted.

    Raises:
        OperatorError: it does not hold it.
    """
    terminal.set_up_log()
    what = checked_what(what)
    with Doer(cluster, entry) as doer:
        done = doer.carry_out(ForgetOrder(what, delete), lambda _: None)
    assert isinstance(done, Forgotten)
    if as_json:
        terminal.put_json({"name": done.name, "id": done.id, "deleted": done.deleted})
        return ExitCode.DONE
    what_it_was = f", {done.id}" if done.id else ""
    gone = " and deleted" if done.deleted else ""
    terminal.put(f"{display(done.name)}: no longer shared by {entry.name}{gone}{what_it_was}")
    if not done.deleted:
        place = display(str(entry.folder / done.name))
        terminal.say(f"its bytes are still in {place}; `shoal share` shares them again")
    return ExitCode.DONE


def run_verify(cluster: Cluster, entry: NodeEntry, what: str | None, *, as_json: bool) -> ExitCode:
    """Have the node hash again what it holds, and heal what has rotted.

    Raises:
        OperatorError: it does not hold it.
    """
    terminal.set_up_log(quiet=True)
    if what is not None:
        what = checked_what(what)
    things: list[Examined] = []
    with Doer(cluster, entry) as doer, ProgressView(quiet=as_json) as view:
        for page in _pages(doer, what, view):
            things += page
    if as_json:
        terminal.put_json(things)
    elif not things:
        terminal.say(f"{entry.name} holds nothing")
    for thing in () if as_json else things:
        terminal.put(_sentence(thing))
    if any(thing.trouble and not thing.changed for thing in things):
        return ExitCode.INTEGRITY
    return ExitCode.PARTLY_DONE if any(thing.trouble for thing in things) else ExitCode.DONE


def _pages(doer: Doer, what: str | None, view: ProgressView) -> Iterator[tuple[Examined, ...]]:
    """Yield what was examined, a report at a time."""
    after: str | None = ""
    while after is not None:
        done = doer.carry_out(VerifyOrder(what, after), view.show)
        assert isinstance(done, Verified)
        yield done.things
        after = done.next


def _sentence(thing: Examined) -> str:
    if thing.changed and thing.healed:
        return f"{display(thing.name)}: was changed here; it is back as it was published"
    if thing.changed and thing.damaged == thing.chunks == 0:
        return f"not shared: {display(thing.trouble)}"
    if thing.changed:
        return f"{display(thing.name)}: was changed here, and stays so: {display(thing.trouble)}"
    if not thing.damaged:
        return f"{display(thing.name)}: right, all {thing.chunks} chunks"
    found = f"{display(thing.name)}: {thing.damaged} of {thing.chunks} chunks were damaged"
    if thing.healed:
        return f"{found}, and healed"
    return f"{found}; it is not shared any more, as {display(thing.trouble)}"

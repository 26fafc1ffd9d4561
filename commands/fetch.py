"""`shoal fetch`: has a node fetch, and prints what came of it."""

import gc
from collections.abc import Iterator
from pathlib import Path

import msgspec
from shoal.api import hub
from shoal.api.fetch import FetchOptions, check, fetch
from shoal.api.local_node import LocalNode
from shoal.commands import exit_codes, terminal
from shoal.commands.attended import attended
from shoal.commands.exit_codes import ExitCode
from shoal.commands.progress import ProgressView
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.control import Fetched
from shoal.protocol.errors import OperatorError, StoppedError, TimedOutError
from shoal.protocol.names import display

_ENDS_ALL = TimedOutError, StoppedError  # Whatever became of the fetches before.


class Wishes(msgspec.Struct, frozen=True):
    """The arguments of the command."""

    what: tuple[str, ...]
    options: FetchOptions = FetchOptions()
    timeout_s: float | None = None
    as_json: bool = False
    quiet: bool = False
    hub: str | None = None  # Whose place in the Hugging Face hub's cache leads to it.


def run_fetch(cluster: Cluster, entry: NodeEntry, wishes: Wishes) -> ExitCode:
    """Fetch all that is wished for; print what came of each.

    Raises:
        OperatorError: nothing could be begun.
    """
    terminal.set_up_log(quiet=True)
    gc.freeze()  # What is imported stays: without it each collection walks 100,000 objects.
    for option, path in (("--output", wishes.options.output), ("--to", wishes.options.to)):
        if path is not None and len(wishes.what) > 1:
            message = f"{option} works with a single file or directory"
            raise OperatorError(f"{message}; give one name, or leave {option} out")
    repo = None if wishes.hub is None else hub.repo_named(wishes.hub)
    if repo is not None and len(wishes.what) > 1:
        raise OperatorError("--hf works with a single directory; give one name, or leave it out")
    for what in wishes.what:
        check(what, wishes.options)
    with attended(cluster, entry, wishes.timeout_s) as node:
        outcomes = _fetch_all(node, wishes)
    (first, *_) = outcomes
    if repo is not None and isinstance(first, Fetched):
        place, is_forced = Path(first.path), wishes.options.force
        snapshot = hub.link_if_any(repo, place, first.id, is_forced=is_forced)
        if not wishes.quiet and not wishes.as_json:
            terminal.say(f"{repo.name} in the hub's cache leads to it: {display(str(snapshot))}")
    if wishes.as_json:
        documents = [_document(outcome) for outcome in outcomes]
        terminal.put_json(documents[0] if len(wishes.what) == 1 else documents)
    return _exit_code(outcomes)


def _fetch_all(node: LocalNode, wishes: Wishes) -> list[Fetched | OperatorError]:
    """Return what came of each; nothing more is begun once the command was stopped."""
    outcomes: list[Fetched | OperatorError] = []
    for what in wishes.what:
        try:
            with ProgressView(quiet=wishes.quiet) as view:
                outcomes.append(fetch(node, what, wishes.options, view.show))
        except OperatorError as error:
            outcomes.append(error)
        _tell(outcomes[-1], wishes)
        if isinstance(outcomes[-1], StoppedError):
            break
    return outcomes


def _tell(outcome: Fetched | OperatorError, wishes: Wishes) -> None:
    if isinstance(outcome, OperatorError):
        terminal.report(outcome, as_json=False)
    elif not wishes.quiet and not wishes.as_json:
        terminal.put(_sentence(outcome))
        for line in _remarks(outcome):
            terminal.say(line)
        if outcome.other_versions:
            terminal.say(_choice(outcome))
        if outcome.ratio is not None:
            terminal.say(_verdict(outcome))


def _document(outcome: Fetched | OperatorError) -> object:
    if isinstance(outcome, OperatorError):
        return terminal.failure(outcome)
    document = msgspec.to_builtins(outcome)
    return {key: value for key, value in document.items() if key != "type"}


def _sentence(fetched: Fetched) -> str:
    size = terminal.size(fetched.size_bytes)
    title = terminal.title(display(fetched.name), fetched.version, fetched.publisher)
    if fetched.fetched_bytes == 0 and fetched.elapsed_s == 0:
        comma = "," if fetched.publisher else ""
        return f"{title}{comma} is already here: {size} in {fetched.path}"
    rate = terminal.size(fetched.fetched_bytes / max(fetched.elapsed_s, 1e-6))
    sources = ", ".join(f"{node} {terminal.size(count)}" for node, count in fetched.holders.items())
    reused = f", {terminal.size(fetched.reused_bytes)} already here" if fetched.reused_bytes else ""
    return (
        f"{title}: {size} in {fetched.elapsed_s:.2f} s ({rate}/s) verified,"
        f" from {sources or 'nobody'}{reused}: {fetched.path}"
    )


def _remarks(fetched: Fetched) -> Iterator[str]:
    """Yield what else the user should know about what was fetched."""
    name = display(fetched.name)
    if fetched.offline:
        yield f"{name}: nobody was asked for a newer version; this is the local one"
    if fetched.superseded:
        count = len(fetched.superseded)
        times = "once" if count == 1 else f"{count} times"
        yield f"{name} changed {times} during the fetch; this is the newest version"


def _choice(fetched: Fetched) -> str:
    """Say which of several versions this is, with its full id."""
    count, name = fetched.other_versions + 1, display(fetched.name)
    return f"{name} has {count} versions, `shoal where {name}` shows them; this is {fetched.id}"


def _verdict(fetched: Fetched) -> str:
    """Return how close the fetch came to the best possible rate."""
    share = round(100 * (fetched.ratio or 0.0))
    return f"{share} % of the best rate seen; bound by: {fetched.bound_reason}"


def _exit_code(outcomes: list[Fetched | OperatorError]) -> ExitCode:
    errors = [outcome for outcome in outcomes if isinstance(outcome, OperatorError)]
    if not errors:
        return ExitCode.DONE
    for error in errors:
        if isinstance(error, _ENDS_ALL):
            return exit_codes.of(error)
    return exit_codes.of(errors[0]) if len(errors) == len(outcomes) else ExitCode.PARTLY_DONE

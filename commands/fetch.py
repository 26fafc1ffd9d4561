"""`shoal fetch`: has the folder's node fetch, or is that node for as long as it takes."""

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import msgspec
from shoal.commands import exit_codes, terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.node import identity_of, take_folder_or_none
from shoal.commands.orders import OrderDesk
from shoal.commands.patterns import check_patterns
from shoal.commands.progress import ProgressView
from shoal.commands.stopping import Stopper
from shoal.commands.thread_guard import ThreadGuard
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.agent import Agent
from shoal.node.files.outside import check_output
from shoal.node.folder.lock import FolderLock
from shoal.protocol import manifest, names
from shoal.protocol.control import Fetched, FetchOrder, Working
from shoal.protocol.errors import Kind, OperatorError, StoppedError, TimedOutError
from shoal.protocol.names import display

# What ends the fetches of several things, whatever became of those before.
_ENDS_ALL = TimedOutError, StoppedError


class FetchOptions(msgspec.Struct, frozen=True):
    """The options of the command line."""

    as_json: bool
    quiet: bool
    timeout_s: float | None
    output: Path | None
    force: bool
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    in_place: bool = False
    offline: bool = False


Worker = Callable[[FetchOrder, Callable[[Working], None]], Fetched]


def run_fetch(
    cluster: Cluster, entry: NodeEntry, what: list[str], options: FetchOptions
) -> ExitCode:
    """Fetch all of `what`; print what came of each.

    Raises:
        OperatorError: nothing could be begun.
    """
    terminal.set_up_log(quiet=True)
    gc.freeze()  # What is imported stays: without it each collection walks 100,000 objects.
    what = [checked_what(name) for name in what]
    check_patterns("--include", options.include)
    check_patterns("--exclude", options.exclude)
    output = _checked_output(options.output, what, may_replace=options.force)
    if output is not None and options.in_place:
        message = "--in-place is about NAME's folder, and --output leads elsewhere"
        raise OperatorError(f"{message}; leave one of them out")
    if output is not None and options.offline:
        message = "--offline is about what is in NAME's folder, and --output leads elsewhere"
        raise OperatorError(f"{message}; leave one of them out")
    orders = [
        FetchOrder(
            name,
            str(output) if output else None,
            options.force,
            options.include,
            options.exclude,
            options.in_place,
            options.offline,
        )
        for name in what
    ]
    lock = take_folder_or_none(entry, options.timeout_s)
    if lock is None:
        return _order(entry, orders, options)
    return _be_the_node(cluster, entry, lock, orders, options)


def checked_what(what: str) -> str:
    """Return `what` if it may be asked for; of a directory, as the shell completes it, without `/`.

    Raises:
        OperatorError: it can be neither a name nor an id.
    """
    plain = what.rstrip("/") or what
    try:
        return plain if manifest.is_id(plain) else names.check_name(plain)
    except ValueError as error:
        message = f"'{display(what)}' cannot be a name: it {error}"
        raise OperatorError(f"{message}; `shoal ls` shows the names there are") from None


def _checked_output(output: Path | None, what: list[str], *, may_replace: bool) -> Path | None:
    if output is None:
        return None
    if len(what) > 1:
        raise OperatorError("--output takes one thing; give one name, or leave --output out")
    check_output(output.absolute(), may_replace=may_replace)
    return output.absolute()


def _be_the_node(
    cluster: Cluster,
    entry: NodeEntry,
    lock: FolderLock,
    orders: list[FetchOrder],
    options: FetchOptions,
) -> ExitCode:
    agent = Agent(identity_of(cluster, entry), lock)
    with (
        ThreadGuard(agent.cancel_all),
        _Limit(options.timeout_s, agent.cancel_all) as limit,
    ):
        try:
            agent.start_for_one_fetch()
            code = _fetch_all(agent.fetch, orders, options, limit)
            if code is ExitCode.DONE:
                agent.look_once()
        finally:
            agent.stop()
    return code


def _order(entry: NodeEntry, orders: list[FetchOrder], options: FetchOptions) -> ExitCode:
    desk = OrderDesk(entry.name, entry.folder)

    def fetch(order: FetchOrder, on_progress: Callable[[Working], None]) -> Fetched:
        report = desk.give(order, on_progress)
        assert isinstance(report, Fetched)
        return report

    try:
        with _Limit(options.timeout_s, desk.cancel) as limit:
            return _fetch_all(fetch, orders, options, limit)
    finally:
        desk.close()


class _Limit:
    """Ends the work at a signal or after the time-out, with the kind of error that says which."""

    def __init__(self, timeout_s: float | None, on_end: Callable[[Kind], None]) -> None:
        self._stopper = Stopper(on_end)
        self._timer = threading.Timer(timeout_s or 0.0, on_end, [TimedOutError])
        self._timer.daemon = True
        self._has_timer = timeout_s is not None

    def __enter__(self) -> Self:
        if self._has_timer:
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    @property
    def was_interrupted(self) -> bool:
        return self._stopper.has_stopped


def _fetch_all(
    fetch: Worker, orders: list[FetchOrder], options: FetchOptions, limit: _Limit
) -> ExitCode:
    outcomes: list[Fetched | OperatorError] = []
    for order in orders:
        try:
            with ProgressView(quiet=options.quiet) as view:
                outcomes.append(fetch(order, view.show))
        except OperatorError as error:
            outcomes.append(error)
        _tell(outcomes[-1], options)
        if limit.was_interrupted:
            break
    if options.as_json:
        documents = [_document(outcome) for outcome in outcomes]
        terminal.put_json(documents[0] if len(orders) == 1 else documents)
    return _exit_code(outcomes)


def _tell(outcome: Fetched | OperatorError, options: FetchOptions) -> None:
    if isinstance(outcome, OperatorError):
        terminal.report(outcome, as_json=False)
    elif not options.quiet and not options.as_json:
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
        return f"{title}{comma} is already here and whole: {size} in {fetched.path}"
    rate = terminal.size(fetched.fetched_bytes / max(fetched.elapsed_s, 1e-6))
    sources = ", ".join(f"{node} {terminal.size(count)}" for node, count in fetched.holders.items())
    reused = f", {terminal.size(fetched.reused_bytes)} were here" if fetched.reused_bytes else ""
    return (
        f"{title}: {size} in {fetched.elapsed_s:.2f} s ({rate}/s) verified,"
        f" from {sources or 'nobody'}{reused}: {fetched.path}"
    )


def _remarks(fetched: Fetched) -> Iterator[str]:
    """Yield what else is to be known of what was fetched."""
    name = display(fetched.name)
    if fetched.offline:
        yield f"nobody was asked whether there is a newer version of {name}: this is what is here"
    if fetched.superseded:
        count = len(fetched.superseded)
        times = "once" if count == 1 else f"{count} times"
        yield f"{name} changed {times} while it was fetched; this is the newest version"


def _choice(fetched: Fetched) -> str:
    """Return which of several versions was taken, by its whole id."""
    count, name = fetched.other_versions + 1, display(fetched.name)
    return f"{name} has {count} versions, `shoal where {name}` shows them; this is {fetched.id}"


def _verdict(fetched: Fetched) -> str:
    """Return how near to the possible it came, as far as that was seen."""
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

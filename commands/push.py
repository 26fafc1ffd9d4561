"""`shoal push`, `pushes` and `wait`: has nodes hold something, and tells who does."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from shoal.api import push
from shoal.api.asking import Line, no_answer
from shoal.api.push import Content, State
from shoal.api.share import ShareOptions
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.push_view import PushView, summary
from shoal.commands.share import shared
from shoal.commands.stopping import Stopper
from shoal.commands.table import put_table
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.errors import (
    Kind,
    NotFoundError,
    OperatorError,
    TrackerError,
)
from shoal.protocol.names import display
from shoal.protocol.pushing import Target

MOST_WAIT_S = 1e8
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
SETTLED_S = 5.0  # A node that is just being started counts as off.


class Watching(NamedTuple):
    """How to watch: until which share of the nodes have it, for how long, and how to tell."""

    share: float = 1.0
    timeout_s: float | None = None
    as_json: bool = False
    as_lines: bool = False  # JSON, one event in each line.
    quiet: bool = False


def watching(share: str, timeout: str | None, how: tuple[bool, bool, bool]) -> Watching:
    """Return how to watch, given the options; `how` are --json, --json-lines and --quiet.

    Raises:
        OperatorError: they make no sense.
    """
    return Watching(share_in(share), None if timeout is None else span_in(timeout), *how)


ALL_OF_THEM = "100%"


def require_wait(share: str, timeout: str | None, *, waits: bool, as_lines: bool) -> None:
    """Raise OperatorError if there are options that mean nothing without --wait."""
    given = {"--share": share != ALL_OF_THEM, "--timeout": timeout is not None}
    given["--json-lines"] = as_lines
    for option, is_given in given.items():
        if is_given and not waits:
            raise OperatorError(f"{option} means nothing without --wait; add that, or leave it out")


def shared_first(
    cluster: Cluster, entry: NodeEntry, path: str, *, is_forced: bool, quiet: bool
) -> str:
    """Have a node share a path, and return NAME@ID of what it shares.

    Raises:
        OperatorError: as `shoal.api.share.share`, or the tracker does not answer.
    """
    terminal.set_up_log(quiet=quiet)
    options = ShareOptions(force=is_forced)
    place = Path(path).expanduser()
    sharing, is_served = shared(cluster, entry, place, options, quiet=quiet)
    if not sharing.announced:
        message = f"{display(sharing.name)} is shared, but {no_answer(cluster)}"
        raise TrackerError(f"{message}; push it later")
    if not is_served:
        message = f"node {entry.name} is not running; start it (shoal node {entry.name})"
        raise OperatorError(f"{display(sharing.name)} is shared, but {message}, then push it")
    return f"{sharing.name}@{sharing.id.removeprefix('b3:')}"


def run_push(
    cluster: Cluster, what: str, to: str, watching: Watching | None, *, as_json: bool
) -> ExitCode:
    """Have nodes hold what `what` means now; with `watching`, tell how far they are."""
    target = push.target(cluster, to)
    with push.opened(cluster, is_admin=True) as line:
        content = push.found(line, what)
        push.begin(line, content, target)
        if watching is not None:
            return _watched(watching, lambda: push.state_of_push(line, content.name), content)
        state = push.state_of_push(line, content.name)
    if as_json:
        terminal.put_json(document_of(state))
        return ExitCode.DONE
    name = terminal.title(display(content.name), content.version, content.publisher)
    size = terminal.size(content.size_bytes)
    terminal.put(f"{name}: {size} pushed to {len(state.verdicts)} nodes; {summary(state.verdicts)}")
    terminal.say(f"`shoal push {display(content.name)} --wait` shows how far they are")
    return ExitCode.DONE


def run_wait(cluster: Cluster, what: str, on: str, watching: Watching) -> ExitCode:
    """Wait until nodes have what `what` means; nothing is pushed."""
    target = push.target(cluster, on)
    with push.opened(cluster) as line:
        content = _awaited(line, what, watching)
        if content is None:
            return ExitCode.TIMED_OUT
        return _watched(watching, lambda: push.state_of(line, content, target), content)


def run_pushes(cluster: Cluster, *, as_json: bool) -> ExitCode:
    """Print all pushes, and how many nodes have each."""
    with push.opened(cluster) as line:
        listed = push.pushes(line)
    if as_json:
        terminal.put_json(listed)
        return ExitCode.DONE
    rows = [["NAME", "VERSION", "TO", "HAVE IT", "AGE"]]
    for one in listed:
        version = f"v{one.version}" if one.version else "-"
        have = f"{one.have} of {one.wanted}"
        rows.append([display(one.name), version, described(one.to), have, terminal.age(one.age_s)])
    if listed:
        put_table(rows, optional=(1, 4))
    else:
        terminal.say("nothing is pushed")
    return ExitCode.DONE


def run_cancel(cluster: Cluster, what: str, *, as_json: bool) -> ExitCode:
    """End the push of a name; what was fetched stays where it is."""
    with push.opened(cluster, is_admin=True) as line:
        push.cancel(line, what)
    if as_json:
        terminal.put_json({"name": what, "cancelled": True})
    else:
        terminal.put(f"{display(what)} is no longer pushed; who has it keeps it")
    return ExitCode.DONE


def described(to: Target) -> str:
    """Return which nodes are meant, as `--to` has it."""
    words = [*to.nodes, *(push.ZONE + display(zone) for zone in to.zones)]
    return ",".join(words) or push.ALL


def share_in(text: str) -> float:
    """Return the share that `99%` or `0.99` is.

    Raises:
        OperatorError: it is none.
    """
    number = text.strip().removesuffix("%")
    try:
        share = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise OperatorError(f"--share {display(text)}: expected one such as 99%, or 0.99")
    return share


def span_in(text: str) -> float:
    """Return the seconds that `8h`, `30m`, `90s` or `90` are.

    Raises:
        OperatorError: it is no span of time.
    """
    plain = text.strip()
    unit = _UNITS_S.get(plain[-1:], 0)
    try:
        seconds = float(plain[:-1] if unit else plain) * (unit or 1)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_WAIT_S:
        raise OperatorError(f"--timeout {display(text)}: expected one such as 8h, 30m or 90")
    return seconds


class _Interrupted:
    """Whether a signal has come; the push goes on all the same."""

    def __init__(self) -> None:
        self.kind: Kind | None = None
        Stopper(self._stop)

    def _stop(self, kind: Kind) -> None:
        self.kind = kind


def _awaited(line: Line, what: str, watching: Watching) -> Content | None:
    """Return what is meant, as soon as any node has announced it; None if the time is up."""
    deadline = _deadline(watching)
    while True:
        try:
            return push.found(line, what)
        except (NotFoundError, TrackerError):
            if time.monotonic() >= deadline:
                terminal.say(f"error: no node has announced {display(what)} in time")
                return None
            time.sleep(push.LOOK_S)


def _deadline(watching: Watching) -> float:
    limit_s = float("inf") if watching.timeout_s is None else watching.timeout_s
    return time.monotonic() + limit_s


class _Watch:
    """Asks how far the nodes are, and decides when that is the end."""

    def __init__(self, watching: Watching, look: Callable[[], State], content: Content) -> None:
        self.state = State(content, ())
        self._watching = watching
        self._look = look
        self._stop = _Interrupted()
        self._deadline = _deadline(watching)
        self._settled_at: float | None = None  # Since when nothing is going on.
        self._is_lost = False  # The tracker does not answer, which has been said.

    def look(self) -> None:
        """Ask the tracker; if it does not answer, what it said last still counts.

        Raises:
            OperatorError: the push is over.
        """
        try:
            latest = self._look()
        except TrackerError as error:
            if not self._is_lost:
                terminal.say(f"warning: {error}; waiting for it")
            self._is_lost = True
            return
        self._is_lost = False
        if latest.content.id != self.state.content.id:
            name = display(latest.content.name)
            raise OperatorError(f"another version of {name} is pushed by now; watch that one")
        if self._watching.as_lines:
            _put_events(self.state, latest)
        self.state = latest

    def code(self) -> ExitCode | None:
        """Return how it ended, if it has.

        With a time limit, nodes that are off or have failed get that time to come back.
        """
        now = time.monotonic()
        if self.state.is_reached(self._watching.share):
            return ExitCode.DONE
        if self._stop.kind is not None:
            return ExitCode.INTERRUPTED
        if now >= self._deadline:
            return ExitCode.TIMED_OUT
        if self._is_lost or not self.state.is_settled:
            self._settled_at = None
        elif self._settled_at is None:
            self._settled_at = now
        is_over = self._settled_at is not None and now >= self._settled_at + SETTLED_S
        return ExitCode.PARTLY_DONE if is_over and self._watching.timeout_s is None else None


def _watched(watching: Watching, look: Callable[[], State], content: Content) -> ExitCode:
    """Tell how far the nodes are until enough have it, or no more will."""
    watch = _Watch(watching, look, content)
    is_quiet = watching.quiet or _is_json(watching)
    with PushView(content.size_bytes, quiet=is_quiet) as view:
        watch.look()
        view.show(watch.state.verdicts)
        while (code := watch.code()) is None:
            time.sleep(push.look_again_s(len(watch.state.verdicts)))
            watch.look()
            view.show(watch.state.verdicts)
    return _ended(watching, watch.state, code)


def _ended(watching: Watching, state: State, code: ExitCode) -> ExitCode:
    name = display(state.content.name)
    if _is_json(watching):
        document = {**document_of(state), "exit_code": int(code)}
        if watching.as_lines:
            document = {"event": "end", **document}
        terminal.put_json(document)
    else:
        terminal.put(summary(state.verdicts))
    if code is ExitCode.INTERRUPTED:
        terminal.say(
            f"the nodes go on; `shoal push {name} --wait` shows how far they are, "
            f"`shoal push --cancel {name}` ends it"
        )
    return code


def document_of(state: State) -> dict[str, Any]:
    """Return what `--json` prints of a push."""
    content = state.content
    return {
        "name": content.name,
        "id": content.id,
        "size_bytes": content.size_bytes,
        "nodes": [msgspec.structs.asdict(one) for one in state.verdicts],
        "done": state.done,
        "wanted": len(state.verdicts),
    }


def _is_json(watching: Watching) -> bool:
    return watching.as_json or watching.as_lines


def _put_events(before: State, now: State) -> None:
    """Print one line of JSON for each node that has got further."""
    known = {one.node: one for one in before.verdicts}
    for one in now.verdicts:
        if known.get(one.node) != one:
            event = {"event": "node", **msgspec.structs.asdict(one)}
            terminal.put(json.dumps(event, ensure_ascii=True))


def is_path(what: str, as_node: str | None) -> bool:
    """Say whether something is to be shared first: it can only be a path, or is one for --as."""
    is_plain = what.startswith(("/", "./", "../", "~"))
    return is_plain or (as_node is not None and Path(what).exists())

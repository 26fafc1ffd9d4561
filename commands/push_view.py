"""What a push has come to, for people: a live table on a terminal, else a line now and then."""

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shoal.commands import table, terminal
from shoal.protocol.names import display
from shoal.protocol.pushing import Verdict

if TYPE_CHECKING:
    from rich.live import Live

LINE_S = 5.0
MOST_GROUPS = 4  # Reasons that a line tells, …
MOST_NAMES = 5  # … each with so many nodes.
MOST_REASON = 60
OTHER_LINES = 4  # Of a terminal: the heading, the summary, what comes before and the prompt.
LEAST_ROWS = 3

# What people want to see first, if there is no room for all.
_ORDER = ("failed", "fetching", "hashing", "waiting", "offline", "done")
Verdicts = Sequence[Verdict]


class PushView:
    """Shows the latest verdicts, or nothing if quiet. A context manager."""

    def __init__(self, size_bytes: int, *, quiet: bool) -> None:
        self._size_bytes = size_bytes
        self._quiet = quiet
        self._live: Live | None = None
        self._line_at = time.monotonic() + LINE_S
        self._verdicts: Verdicts = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._draw(self._verdicts, has_summary=False)  # It is printed next, as the result.
            self._live.stop()

    def show(self, verdicts: Verdicts) -> None:
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._show_table(verdicts)
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + LINE_S
            terminal.say(summary(verdicts))

    def _show_table(self, verdicts: Verdicts) -> None:
        from rich.console import Console  # noqa: PLC0415 (takes 0.1 s, and only a terminal needs it)
        from rich.live import Live  # noqa: PLC0415 (the same)

        if self._live is None:
            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=False)
            self._live.start()
        self._verdicts = verdicts
        self._draw(verdicts, has_summary=True)

    def _draw(self, verdicts: Verdicts, *, has_summary: bool) -> None:
        from rich.text import Text  # noqa: PLC0415 (only a terminal needs it)

        assert self._live is not None
        width, height = self._live.console.size
        text = drawn(verdicts, self._size_bytes, width, height)
        if has_summary:
            text += f"\n{table.shortened(summary(verdicts), width)}"
        self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)


def drawn(verdicts: Verdicts, size_bytes: int, width: int, height: int) -> str:
    """Return the table, in as many lines and cells as a terminal has; one line is left free."""
    room = max(LEAST_ROWS, height - OTHER_LINES)
    ordered = sorted(verdicts, key=lambda one: (_ORDER.index(one.state), one.node))
    rows = [["HOST", "STATE"]] + [[one.node, words(one, size_bytes)] for one in ordered[:room]]
    lines = [_cut(line, width) for line in table.plain(rows).splitlines()]
    if len(ordered) > room:
        lines.append(f"… and {len(ordered) - room} more")
    return "\n".join(lines)


def words(one: Verdict, size_bytes: int) -> str:
    """Return how far a node is, as in `43 % at 11.0 MB/s, 32 s left`."""
    share = f"{100 * one.have_bytes // max(1, size_bytes)} %"
    match one.state:
        case "done":
            return "has it"
        case "fetching" if one.rate:
            left = terminal.age(max(0, size_bytes - one.have_bytes) / one.rate)
            return f"{share} at {terminal.size(one.rate)}/s, {left} left"
        case "fetching":
            return share
        case "hashing":
            return f"hashing, {share}"
        case "failed":
            again = f"; again in {terminal.age(one.retry_s)}" if one.retry_s else ""
            return f"failed: {display(one.reason)}{again}"
        case _:
            return one.state


def summary(verdicts: Verdicts) -> str:
    """Return one line for all, as in `37 of 40 have it; pc3: the disk is full; pc5, pc6: off`."""
    done = sum(one.state == "done" for one in verdicts)
    groups: dict[str, list[str]] = {}
    for one in sorted(verdicts, key=lambda one: (_ORDER.index(one.state), one.node)):
        if one.state == "failed":
            groups.setdefault(_short(one.reason), []).append(one.node)
        elif one.state == "offline":
            groups.setdefault("off", []).append(one.node)
    told = [f"{_named(nodes)}: {reason}" for reason, nodes in list(groups.items())[:MOST_GROUPS]]
    if len(groups) > MOST_GROUPS:
        rest = sum(len(nodes) for nodes in list(groups.values())[MOST_GROUPS:])
        told.append(f"{rest} more have failed")
    return "; ".join([f"{done} of {len(verdicts)} have it", *told])


def _short(reason: str) -> str:
    """Return a reason without its remedy."""
    first = display(reason.split(";", maxsplit=1)[0].strip())
    return _cut(first, MOST_REASON)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _named(nodes: list[str]) -> str:
    more = len(nodes) - MOST_NAMES
    return ", ".join(nodes[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")

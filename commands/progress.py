"""Progress on stderr: a bar on a terminal, a line every five seconds elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shoal.commands import terminal
from shoal.commands.table import shortened
from shoal.protocol.control import Working
from shoal.protocol.names import display

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_S = 5.0

# Widths in terminal cells, each with the gap before it.
NUMBERS = 19 + 11 + 8  # 1,023.9/1,023.9 GB, 100.0 MB/s and 0:00:10.
BAR, HOLDERS = 21, 13
WITH_BAR, WITH_HOLDERS = 76, 90  # The narrowest terminals with these; 17 cells remain for the name.
LEAST_NAME = 8


class ProgressView:
    """Shows `Working` reports, or nothing if quiet. A context manager."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Progress | None = None
        self._line_at = time.monotonic() + LINE_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is None:
            return
        if kind is None:  # The last report may be a little old.
            (task,) = self._bar.tasks
            self._bar.update(task.id, completed=task.total)
        self._bar.stop()

    def show(self, working: Working) -> None:
        if self._quiet or working.size_bytes is None:
            return
        if sys.stderr.isatty():
            self._show_bar(working)
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + LINE_S
            self._show_line(working)

    def _show_line(self, working: Working) -> None:
        total = working.size_bytes or 1
        parts = [
            f"{display(working.name)}: {100 * working.have_bytes // total} %",
            f"{terminal.size(working.have_bytes)} of {terminal.size(total)}",
            _holders(working),
        ]
        terminal.say(", ".join(filter(None, parts)))

    def _show_bar(self, working: Working) -> None:
        if self._bar is None:
            self._bar = _bar()
            self._bar.add_task("", holders="")
            self._bar.start()
        room = max(LEAST_NAME, self._bar.console.width - _taken(self._bar.console.width))
        self._bar.update(
            self._bar.task_ids[0],
            description=shortened(display(working.name), room),
            completed=working.have_bytes,
            total=working.size_bytes,
            holders=_holders(working),
        )


def _holders(working: Working) -> str:
    if working.holders is None:
        return ""
    return f"{working.holders} holder{'' if working.holders == 1 else 's'}"


def _bar() -> "Progress":
    """Return a bar with as many columns as the terminal has room for.

    Names are never parsed as markup.
    """
    from rich import progress  # noqa: PLC0415 (takes 0.1 s, and only a terminal needs it)
    from rich.console import Console  # noqa: PLC0415 (the same)

    console = Console(stderr=True)
    name = progress.TextColumn("{task.description}", markup=False)
    bar = [progress.BarColumn(BAR - 1)] if console.width >= WITH_BAR else []
    numbers = [
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    ]
    holders = progress.TextColumn("{task.fields[holders]}", markup=False)
    last = [holders] if console.width >= WITH_HOLDERS else []
    return progress.Progress(name, *bar, *numbers, *last, console=console)


def _taken(width: int) -> int:
    """Return how many cells everything but the name takes."""
    return NUMBERS + (BAR if width >= WITH_BAR else 0) + (HOLDERS if width >= WITH_HOLDERS else 0)

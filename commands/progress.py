"""How far a fetch is, on stderr: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from commands import terminal
from protocol.control import Working
from protocol.names import display

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_S = 5.0


class ProgressView:
    """Shows `Working` reports; nothing at all when quiet. A context manager."""

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
        self._bar.update(
            self._bar.task_ids[0],
            description=display(working.name),
            completed=working.have_bytes,
            total=working.size_bytes,
            holders=_holders(working),
        )


def _holders(working: Working) -> str:
    if working.holders is None:
        return ""
    return f"{working.holders} holder{'' if working.holders == 1 else 's'}"


def _bar() -> "Progress":
    from rich import progress  # noqa: PLC0415 (takes 0.1 s, and only a terminal needs it)
    from rich.console import Console  # noqa: PLC0415 (the same)

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[holders]}"),
        console=Console(stderr=True),
    )

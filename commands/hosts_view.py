"""What each host waits for, on stderr: a table on a terminal, a line every 5 s elsewhere."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from shoal.commands import terminal
from shoal.commands.table import fitted, shortened
from shoal.hosts.roles import Role
from shoal.protocol.errors import HungUpError, Kind, StoppedError, TerminatedError
from shoal.protocol.names import display

if TYPE_CHECKING:
    from rich.live import Live

LINE_S = 5.0
TABLE_AFTER_S = 0.5  # What is done sooner needs none.
MOST_NAMED = 4  # In a line.
MOST_CHARACTERS = 60  # Of what one waits for, in a line.
INTERRUPTED = "interrupted; what was started on the hosts before stays"
_KINDS: Mapping[signal.Signals, Kind] = {
    signal.SIGINT: StoppedError,
    signal.SIGTERM: TerminatedError,
    signal.SIGHUP: HungUpError,
}


class HostsView:
    """Shows what is being waited for. A context manager."""

    def __init__(self) -> None:
        self._live: Live | None = None
        self._text = ""
        now = time.monotonic()
        self._line_at, self._table_at = now + LINE_S, now + TABLE_AFTER_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def look(self, doing: Mapping[Role, str]) -> None:
        """Show what each does; nothing of it remains on a terminal once nobody does anything."""
        if not doing:
            self._stop()
        elif sys.stderr.isatty():
            self._show_table(doing)
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + LINE_S
            terminal.say(line(doing))

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            self._text = ""

    def _show_table(self, doing: Mapping[Role, str]) -> None:
        if self._live is None:
            if time.monotonic() < self._table_at:
                return
            from rich.console import Console  # noqa: PLC0415 (takes 0.1 s, and only here)
            from rich.live import Live  # noqa: PLC0415 (the same)

            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        size = self._live.console.size
        text = table(doing, size.width, size.height - 1)
        if text != self._text:
            from rich.text import Text  # noqa: PLC0415 (loaded by now)

            self._live.update(Text(text), refresh=True)
            self._text = text


def table(doing: Mapping[Role, str], width: int, height: int) -> str:
    """Return a row for each that fits into so many lines, and how many more there are."""
    rows = [
        (display(role.name), display(role.host), shortened(display(does), MOST_CHARACTERS))
        for role, does in doing.items()
    ]
    shown = rows if len(rows) <= height else rows[: max(1, height - 1)]
    lines = fitted(shown, width, flexible=1).splitlines()[:height]
    more = len(rows) - len(shown)
    return "\n".join([*lines, *([f"and {more} more"] if more else [])])


def line(doing: Mapping[Role, str]) -> str:
    """Return whom is waited for, and for what, in one line."""
    named = [
        f"{role.name} on {role.host} ({shortened(does, MOST_CHARACTERS)})"
        for role, does in list(doing.items())[:MOST_NAMED]
    ]
    more = len(doing) - len(named)
    return f"waiting for {', '.join(named)}{f' and {more} more' if more else ''}"


@contextlib.contextmanager
def heeded_signals() -> Iterator[None]:
    """Have the first signal raise an error in this thread, the second end the process at once.

    What was ignored when the process started, as with nohup, stays ignored.
    """
    came: list[int] = []

    def stop(number: int, _: FrameType | None) -> NoReturn:
        if came:
            os._exit(128 + number)
        came.append(number)
        terminal.say("ending what runs on the hosts; once more to leave at once")
        raise _KINDS[signal.Signals(number)](INTERRUPTED)

    heeded = [number for number in _KINDS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

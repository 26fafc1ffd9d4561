"""Ends a process when one of its threads dies, so that a node is never half alive."""

import os
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.protocol.errors import BugError, Kind

END_S = 10.0  # How long the rest of the process has to stop in order.


class ThreadGuard:
    """A context manager. While it is open, the first thread that dies calls `on_death`, once.

    `on_death` makes the body end soon, with an error of the kind given; the guard then raises a
    BugError that says which thread died of what. If the body does not end, the process is killed.
    """

    def __init__(self, on_death: Callable[[Kind], None], end_s: float = END_S) -> None:
        self._on_death = on_death
        self._end_s = end_s
        self._guard = threading.Lock()
        self._death: BugError | None = None
        self._end_timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._hook_before = threading.excepthook
        threading.excepthook = self._note
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        threading.excepthook = self._hook_before
        if self._end_timer is not None:
            self._end_timer.cancel()
        if self._death is not None:
            raise self._death from None

    def _note(self, args: threading.ExceptHookArgs) -> None:
        error = args.exc_value
        if error is None or isinstance(error, SystemExit):
            return
        if os.environ.get("SHOAL_DEBUG"):
            traceback.print_exception(error)
        thread = args.thread.name if args.thread is not None else "unknown"
        with self._guard:
            is_first = self._death is None
            if is_first:
                bug = (
                    f"this is a bug: the thread '{thread}' died of {type(error).__name__}: {error}"
                )
                remedy = "please report it, with what SHOAL_DEBUG=1 prints"
                self._death = BugError(f"{bug}; {remedy}")
        if is_first:
            self._end_timer = threading.Timer(self._end_s, self._end)
            self._end_timer.daemon = True
            self._end_timer.start()
            self._on_death(BugError)

    def _end(self) -> None:
        assert self._death is not None
        terminal.report(self._death, as_json=False)
        os._exit(ExitCode.BUG)

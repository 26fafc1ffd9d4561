"""The first SIGINT or SIGTERM asks to stop, the second ends the process at once."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from protocol.errors import ExitCode

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Stopper:
    """Turns signals into one call of `on_stop`, with the exit code that they stand for."""

    def __init__(self, on_stop: Callable[[ExitCode], None]) -> None:
        self.exit_code: ExitCode | None = None
        self._on_stop = on_stop
        for number in _CODES:
            signal.signal(number, self._handle)

    def _handle(self, number: int, _: FrameType | None) -> None:
        code = _CODES[signal.Signals(number)]
        if self.exit_code is not None:
            os._exit(code)
        self.exit_code = code
        self._on_stop(code)

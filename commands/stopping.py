"""The first SIGINT or SIGTERM asks to stop, the second ends the process at once."""

import os
import signal
import threading
from collections.abc import Callable

from protocol.errors import ExitCode

_CODES = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}


class Stopper:
    """Turns signals into one call of `on_stop`, with the exit code that they stand for.

    A thread of its own waits for them; all others that are started later have them blocked. With a
    handler, which runs in the main thread, that one would have to be awake: the kernel may give a
    signal to any thread (it does when a suspended process goes on), and the main one sleeps on.
    """

    def __init__(self, on_stop: Callable[[ExitCode], None]) -> None:
        self.exit_code: ExitCode | None = None
        self._on_stop = on_stop
        signal.pthread_sigmask(signal.SIG_BLOCK, _CODES)
        threading.Thread(target=self._listen, name="signals", daemon=True).start()

    def _listen(self) -> None:
        while True:
            code = _CODES[signal.Signals(signal.sigwait(_CODES))]
            if self.exit_code is not None:
                os._exit(code)
            self.exit_code = code
            self._on_stop(code)

"""The first SIGINT, SIGTERM or SIGHUP stops the command in order, the second one at once."""

import os
import signal
import threading
from collections.abc import Callable

from shoal.protocol.errors import HungUpError, Kind, StoppedError, TerminatedError

_KINDS: dict[signal.Signals, Kind] = {
    signal.SIGINT: StoppedError,
    signal.SIGTERM: TerminatedError,
    signal.SIGHUP: HungUpError,
}


class Stopper:
    """Turns signals into one call of `on_stop`, with the kind of error that the work should raise.

    Signals that were ignored when the process started, as `nohup` and a shell's `&` have it, stay
    ignored. A thread of its own waits for the others; all threads that are started later have them
    blocked. With a handler, which runs in the main thread, that one would have to be awake: the
    kernel may give a signal to any thread (it does when a suspended process goes on), and the main
    one sleeps on.
    """

    def __init__(self, on_stop: Callable[[Kind], None]) -> None:
        self.has_stopped = False
        self._on_stop = on_stop
        heeded = {number for number in _KINDS if signal.getsignal(number) is not signal.SIG_IGN}
        signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
        if heeded:
            listening = threading.Thread(target=self._listen, args=(heeded,), name="signals")
            listening.daemon = True
            listening.start()

    def _listen(self, heeded: set[signal.Signals]) -> None:
        while True:
            number = signal.Signals(signal.sigwait(heeded))
            if self.has_stopped:
                os._exit(128 + number)
            self.has_stopped = True
            self._on_stop(_KINDS[number])

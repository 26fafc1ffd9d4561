"""The first SIGINT, SIGTERM or SIGHUP stops the command in order, the second one at once.

SIGHUP has a daemon read its configuration again, as is usual, unless its terminal has gone.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable

from shoal.protocol.errors import HungUpError, Kind, StoppedError, TerminatedError

log = logging.getLogger("shoal")

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

    def __init__(
        self, on_stop: Callable[[Kind], None], on_reload: Callable[[], None] | None = None
    ) -> None:
        """`on_reload` is called for SIGHUP while the terminal is there, or if there never was one.

        Then SIGHUP is heeded even if it was ignored at the start, but never stops the process.
        """
        self.has_stopped = False
        self._on_stop = on_stop
        self._on_reload = on_reload
        heeded = {number for number in _KINDS if signal.getsignal(number) is not signal.SIG_IGN}
        self._may_hang_up = signal.SIGHUP in heeded and _has_terminal()
        was_ignored = on_reload is not None and signal.SIGHUP not in heeded
        heeded |= {signal.SIGHUP} if was_ignored else set()
        signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
        if was_ignored:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # Ignored, it would not arrive.
        if heeded:
            listening = threading.Thread(target=self._listen, args=(heeded,), name="signals")
            listening.daemon = True
            listening.start()

    def _listen(self, heeded: set[signal.Signals]) -> None:
        while True:
            number = signal.Signals(signal.sigwait(heeded))
            if self._on_reload is not None and number == signal.SIGHUP and not self._is_hung_up():
                self._reload(self._on_reload)
                continue
            if self.has_stopped:
                os._exit(128 + number)
            self.has_stopped = True
            self._on_stop(_KINDS[number])

    def _reload(self, on_reload: Callable[[], None]) -> None:
        try:
            on_reload()
        except Exception as error:  # noqa: BLE001 (a bug: nobody would heed signals any more)
            log.error("this is a bug: SIGHUP led to %r; please report it", error)  # noqa: TRY400

    def _is_hung_up(self) -> bool:
        """Say whether the terminal has gone, with which the process was started."""
        return self._may_hang_up and not _has_terminal()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True

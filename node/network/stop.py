"""How work that takes long is told to end soon: from any thread, or from a signal handler."""

import select
from collections.abc import Callable

from shoal.protocol.errors import ExitCode, OperatorError
from shoal.wire.wake import Wake


class Stop:
    """Set at most once; the work looks at it again and again, and wakes up for it."""

    def __init__(self, told: Callable[[ExitCode], OperatorError]) -> None:
        """`told` returns what to say of the work when it was stopped with an exit code."""
        self.wake = Wake()
        self._told = told
        self._exit_code: ExitCode | None = None

    def set(self, exit_code: ExitCode) -> None:
        self._exit_code = exit_code
        self.wake.set()

    def check(self) -> None:
        """Raise OperatorError if it is set."""
        if self._exit_code is not None:
            raise self._told(self._exit_code)

    def wait(self, timeout_s: float) -> None:
        """Wait until it is set, or so long."""
        if self._exit_code is None:
            poll = select.poll()
            poll.register(self.wake, select.POLLIN)
            poll.poll(int(1000 * timeout_s))

    def close(self) -> None:
        """Free what waits for `set`; the last call."""
        self.wake.close()

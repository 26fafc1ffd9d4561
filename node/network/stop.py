"""How work that takes long is told to end soon: from any thread, or from a signal handler."""

import select
from collections.abc import Callable

from shoal.protocol.errors import Kind, OperatorError
from shoal.wire.wake import Wake


class Stop:
    """Set at most once; the work looks at it again and again, and wakes up for it."""

    def __init__(self, told: Callable[[Kind], OperatorError]) -> None:
        """`told` returns what to say of the work, given the kind of error to stop it with."""
        self.wake = Wake()
        self._told = told
        self._kind: Kind | None = None

    def set(self, kind: Kind) -> None:
        self._kind = kind
        self.wake.set()

    def check(self) -> None:
        """Raise OperatorError if it is set."""
        if self._kind is not None:
            raise self._told(self._kind)

    def wait(self, timeout_s: float) -> None:
        """Wait until it is set, or so long."""
        if self._kind is None:
            poll = select.poll()
            poll.register(self.wake, select.POLLIN)
            poll.poll(int(1000 * timeout_s))

    def close(self) -> None:
        """Free what waits for `set`; the last call."""
        self.wake.close()

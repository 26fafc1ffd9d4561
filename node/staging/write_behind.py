"""Writes that a fetch need not wait for: one after the other, in a thread of their own.

The next chunk is hashed while the last one is written, which takes two processors: one thread was
the bottleneck on fast links. For short chunks the handover costs more than it saves.
"""

import collections
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

LEAST_BYTES = 512 << 10  # A write takes about 0.2 ms, the handover about 0.03.
MOST_WAITING = 2  # Chunks that are handed over but not written yet: they stay in memory.


class WriteBehind:
    """Carries out writes in order; `close` it at the end.

    After one has failed no other is carried out, and each call raises its error.
    """

    def __init__(self) -> None:
        """Only assigns: the thread begins with the first write."""
        self._executor = ThreadPoolExecutor(1, "write")
        self._waiting: collections.deque[Future[None]] = collections.deque()
        self._trouble: Exception | None = None

    def write(self, size_bytes: int, write: Callable[[], None]) -> None:
        """Have `size_bytes` written, soon or at once; waits while too many chunks are waiting.

        Raises:
            OSError: this write failed, or an earlier one did.
        """
        self._settle(MOST_WAITING - 1)
        if self._waiting or size_bytes >= LEAST_BYTES:
            self._waiting.append(self._executor.submit(self._write, write))
        else:
            self._write(write)

    def settle(self) -> None:
        """Wait until all is written; raises as `write`."""
        self._settle(0)

    def close(self) -> None:
        """Wait until all is written, or has failed."""
        self._executor.shutdown()

    def _write(self, write: Callable[[], None]) -> None:
        if self._trouble is not None:
            raise self._trouble
        try:
            write()
        except Exception as error:
            self._trouble = error
            raise

    def _settle(self, most: int) -> None:
        while self._waiting and (len(self._waiting) > most or self._waiting[0].done()):
            self._waiting.popleft().result()
        if self._trouble is not None:
            raise self._trouble

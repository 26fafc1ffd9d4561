"""How far the hashing is: said now and then, or told to whoever waits for it."""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from shoal.node.folder.source import Source

log = logging.getLogger("shoal.node")

SAY_HASHING_S = 2.0
SHOW_HASHING_S = 0.1


class HashProgress:
    """Counts what is hashed. May be told of it from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on_hashed: Callable[[int, int], None] | None = None
        self._total_bytes = 0
        self._done_bytes = 0
        self._said_at = 0.0

    def begin(
        self, sources: Iterable[Source], on_hashed: Callable[[int, int], None] | None = None
    ) -> None:
        """Begin to count; tell `on_hashed` how many bytes are done, and of how many."""
        self._total_bytes = sum(source.size_bytes for source in sources)
        self._done_bytes = 0
        self._on_hashed = on_hashed
        self._said_at = time.monotonic()

    def hashed(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            now = time.monotonic()
            if now - self._said_at < (SHOW_HASHING_S if self._on_hashed else SAY_HASHING_S):
                return
            self._said_at = now
            done, total = self._done_bytes, max(self._total_bytes, self._done_bytes)
        if self._on_hashed is not None:
            self._on_hashed(done, total)
            return
        log.info("hashing: %.1f of %.1f GB, %d %%", done / 1e9, total / 1e9, 100 * done // total)

"""Locks by name: one holder for each name at a time. Does not know what they protect."""

import contextlib
import threading
from collections.abc import Callable, Iterator

WAIT_S = 0.1  # How often a waiting thread reports.


class NameLocks:
    """The names that something is done with just now. May be used from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: set[str] = set()

    @contextlib.contextmanager
    def holding(
        self, name: str, while_waiting: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Have `name` alone; `while_waiting` is called again and again before, and may raise."""
        while not self._take(name):
            while_waiting()
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(name)
                self._changed.notify_all()

    def _take(self, name: str) -> bool:
        with self._changed:
            is_free = self._changed.wait_for(lambda: name not in self._held, WAIT_S)
            if is_free:
                self._held.add(name)
            return is_free

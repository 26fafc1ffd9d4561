"""Things that take long to hash: one by one, in a thread of their own, the smallest first.

Hashes nothing itself. The thread ends when nothing is left to do.
"""

import threading
from collections.abc import Callable

from shoal.node.folder.source import Source

LARGE_BYTES = 256 << 20  # A second or two, as disks and processors are.


class LargeThings:
    """The large things that wait, and the one that is taken in. May be used from any thread."""

    def __init__(self, take_in: Callable[[str, Source], None], on_idle: Callable[[], None]) -> None:
        """`take_in` does the work; `on_idle` is called when nothing waits any more."""
        self._take_in = take_in
        self._on_idle = on_idle
        self._changed = threading.Condition()
        self._waiting: dict[str, Source] = {}
        self._now: tuple[str, Source] | None = None
        self._thread: threading.Thread | None = None
        self._is_stopping = False

    def add(self, name: str, source: Source) -> None:
        """Have it taken in, unless it is on its way already just as it is."""
        with self._changed:
            if self._is_stopping or (self._now is not None and _is(self._now, name, source)):
                return
            self._waiting[name] = source
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hash-large", daemon=True)
                self._thread.start()

    def find(self, name: str) -> Source | None:
        """Return the thing of that name that waits or is being taken in."""
        with self._changed:
            now = self._now
            return now[1] if now is not None and now[0] == name else self._waiting.get(name)

    def wait_until_idle(self) -> None:
        """Wait until nothing waits any more, or until `stop`."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None or self._is_stopping)

    @property
    def is_idle(self) -> bool:
        with self._changed:
            return self._thread is None

    def interrupt(self) -> None:
        """Begin nothing more. Takes no lock that is held for long: for signal threads too."""
        with self._changed:
            self._is_stopping = True
            self._waiting.clear()
            self._changed.notify_all()

    def stop(self) -> None:
        """End; the thing that is being taken in must give up by itself."""
        self.interrupt()
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._has_next():
            assert self._now is not None
            self._take_in(*self._now)
        self._on_idle()

    def _has_next(self) -> bool:
        with self._changed:
            self._now = None
            if not self._waiting:
                self._thread = None
                self._changed.notify_all()
                return False
            name = min(self._waiting, key=lambda name: (self._waiting[name].size_bytes, name))
            self._now = name, self._waiting.pop(name)
            return True


def _is(known: tuple[str, Source], name: str, source: Source) -> bool:
    return known[0] == name and known[1].signature == source.signature

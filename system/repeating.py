"""A thread that does the same again and again, until it is stopped. Knows not what."""

import threading
from collections.abc import Callable


class Repeating:
    """Runs from `start` to `stop`, once."""

    def __init__(self, name: str, work: Callable[[], float]) -> None:
        """`work` returns after how many seconds to begin again."""
        self._work = work
        self._pause_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self, after_s: float = 0.0) -> None:
        """Begin, after so many seconds."""
        self._pause_s = after_s
        self._thread.start()

    def stop(self) -> None:
        """Begin no more; wait for what is being done. Harmless if it was never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause_s):
            self._pause_s = self._work()

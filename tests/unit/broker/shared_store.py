"""A store in memory that trackers share. It can be away, slow or lose its tail."""

import threading
from collections.abc import Sequence

from shoal.broker.stores import Exchanged, LostError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed


class MemoryLog:
    """What is in the store."""

    def __init__(self) -> None:
        self.entries: list[tuple[object, Change]] = []
        self.renewed: list[tuple[object, Renewed]] = []
        self.losses = 0
        self.lock = threading.Lock()
        self.is_away = False
        self.answers = threading.Event()  # Cleared: it hangs.
        self.answers.set()

    def lose(self, length: int) -> None:
        """Have no more than so many changes; a store loses whole batches."""
        with self.lock:
            del self.entries[length:]
            self.losses += 1


class MemoryStore:
    """One tracker's access to it."""

    is_shared = True

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._read = self._heard = self._losses = 0

    def load(self) -> Sequence[Change]:
        self._wait()
        with self._log.lock:
            self._losses, self._read = self._log.losses, len(self._log.entries)
            return [change for _, change in self._log.entries]

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        self._wait()
        log = self._log
        with log.lock:
            if self._losses != log.losses:
                raise LostError("its tail is gone")
            others = tuple(change for _, change in log.entries[self._read :])
            heard = tuple(each for whose, each in log.renewed[self._heard :] if whose is not self)
            log.entries += ((self, change) for change in changes)
            log.renewed += ((self, each) for each in renewed)
            self._read, self._heard = len(log.entries), len(log.renewed)
            return Exchanged(others, heard)

    def trouble(self) -> str:
        return "it is away" if self._log.is_away else ""

    def close(self) -> None: ...

    def _wait(self) -> None:
        self._log.answers.wait()
        if self._log.is_away:
            raise NotSavedError("it is away")

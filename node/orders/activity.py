"""What this node is doing, in the few words that its renewals carry. Does nothing itself."""

import contextlib
import functools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.node.serving.wished import Rate
from shoal.protocol.control import Working
from shoal.protocol.errors import StoppedError, TimedOutError
from shoal.protocol.pushing import MAX_AT_A_TIME, Doing, Failure, Transfer

OnProgress = Callable[[Working], None]
STOPPED = StoppedError, TimedOutError  # By somebody, or as its time was over.


class Activity:
    """Counts what goes on. May be used from any thread."""

    def __init__(
        self,
        folder: Path,
        version: str,
        hashing: Callable[[], list[tuple[str, int, int]]],
        sent_bytes: Callable[[], int],
        link_rate: Callable[[], float | None],
    ) -> None:
        """Watch a node.

        Args:
            folder: whose disk is told of.
            version: shoal's.
            hashing: returns what is being hashed: name, bytes hashed, and of how many.
            sent_bytes: returns how many bytes were sent to others since the start.
            link_rate: returns the rate of the node's network card in bytes/s, None if unknown.
        """
        self._folder = folder
        self._version = version
        self._hashing = hashing
        self._sent_bytes = sent_bytes
        self._link_rate = functools.cache(link_rate)
        self._sent = Rate()
        self._guard = threading.Lock()
        self._fetches: dict[object, _Fetch] = {}
        self._ended = {"done": 0, "failed": 0, "stopped": 0}  # Fetches, by how.
        self.last_free_bytes: int | None = None  # On the disk, when it was last asked.

    @contextlib.contextmanager
    def fetching(self, content_id: str | None, on_progress: OnProgress) -> Iterator[OnProgress]:
        """Tell of one fetch until it is over: of `content_id`, if that is known before.

        Gives what is to be called with its progress.
        """
        key, fetch = object(), _Fetch(content_id)

        def note(working: Working) -> None:
            with self._guard:
                fetch.note(working, time.monotonic())
            on_progress(working)

        with self._guard:
            self._fetches[key] = fetch
        result = "failed"
        try:
            yield note
            result = "done"
        except STOPPED:
            result = "stopped"
            raise
        finally:
            with self._guard:
                del self._fetches[key]
                self._ended[result] += 1

    @property
    def fetch_count(self) -> int:
        """How many fetches are under way."""
        return len(self._fetches)

    def ended(self) -> dict[str, int]:
        """Return how many fetches are over: done, failed or stopped."""
        with self._guard:
            return dict(self._ended)

    def room_bytes(self) -> int:
        """Return how much room there is on the folder's disk; 0 if it cannot be asked."""
        with contextlib.suppress(OSError):
            self.last_free_bytes = shutil.disk_usage(self._folder).free
            return self.last_free_bytes
        return 0

    def doing(self, failed: tuple[Failure, ...], *, obeys: bool) -> Doing:
        """Return what is going on, what failed, and whether the node fetches what is pushed."""
        now = time.monotonic()
        self._sent.grown(self._sent_bytes(), now)
        with self._guard:
            told = [one.told(now) for one in self._fetches.values()]
        hashing = [Transfer(name, None, *sizes) for name, *sizes in self._hashing()]
        return Doing(
            version=self._version,
            free_bytes=self.room_bytes(),
            obeys=obeys,
            sent_rate=self._sent.of(now),
            fetching=tuple(one for one in told if one is not None)[:MAX_AT_A_TIME],
            hashing=tuple(hashing[:MAX_AT_A_TIME]),
            failed=failed,
            link_rate=int(self._link_rate() or 0),
        )


class _Fetch:
    def __init__(self, content_id: str | None) -> None:
        self._id = content_id
        self._working: Working | None = None
        self._rate = Rate()

    def note(self, working: Working, now: float) -> None:
        self._working = working
        self._rate.grown(working.have_bytes, now)

    def told(self, now: float) -> Transfer | None:
        working = self._working
        if working is None:
            return None
        sizes = working.have_bytes, working.size_bytes or 0
        return Transfer(working.name, self._id, *sizes, self._rate.of(now), working.holders or 0)

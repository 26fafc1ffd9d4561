"""When to look through a folder: when a change is reported, or at intervals. Looks at nothing.

While the folder is away, not mounted or failing, nothing is reported: it is looked for often.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.folder.changes import Changes

log = logging.getLogger("shoal.node")

RESCAN_S = 30.0  # In case the file system does not report all changes, as NFS does not.
POLL_S = 1.0  # Where nothing can be watched at all.
GATHER_S = 0.2  # What changes in so short a time is looked at together.


class Occasions:
    """Iterate over it to wait for one occasion after another, until `stopping` is set."""

    def __init__(self, folder: Path, stopping: threading.Event) -> None:
        self.is_away = False  # Whether the folder is; whoever looks says so.
        self.due = math.inf  # When to look in any case, in monotonic seconds.
        self.rescan_s = RESCAN_S
        self._folder = folder
        self._stopping = stopping
        self._changes: Changes | None = None

    def wake(self) -> None:
        """Make this an occasion. May be called from any thread, and from a signal handler."""
        changes = self._changes
        if changes is not None:
            changes.wake()

    def __iter__(self) -> Iterator[None]:
        while not self._stopping.is_set():
            try:
                yield from self._reported_changes()
            except OSError as error:
                yield
                if not self.is_away:
                    log.warning(
                        "changes are not reported here (%s); will look every second", error.strerror
                    )
                    break
            while self.is_away and not self._stopping.wait(POLL_S):
                yield
        while not self._stopping.wait(POLL_S):
            yield

    def _reported_changes(self) -> Iterator[None]:
        from shoal.node.folder.changes import Changes  # noqa: PLC0415 (a mere fetch does not need it)

        with contextlib.closing(Changes(self._folder)) as changes:
            self._changes = changes
            yield  # What came since the last look, and before all was watched.
            while not self._stopping.is_set() and not self.is_away:
                if changes.wait(self._patience_s()):
                    self._stopping.wait(GATHER_S)
                    changes.wait(0.0)  # What came meanwhile is seen by the same look.
                if not self._stopping.is_set():
                    yield

    def _patience_s(self) -> float:
        """Return for how long nothing needs to be looked at if nothing changes."""
        return min(self.rescan_s, max(0.0, self.due - time.monotonic()))

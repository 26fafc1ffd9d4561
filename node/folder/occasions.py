"""When to look at a folder, and where: at reported changes, and at everything now and then.

Looks at nothing. On a network's file system only this host's changes would be reported: there,
everything is looked at, again and again. While the folder is away, not mounted or failing, it is
looked for often.
"""

import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.node.files import remote
from shoal.node.folder.changed import Changed
from shoal.protocol.names import display

if TYPE_CHECKING:
    from shoal.node.folder.changes import Changes

log = logging.getLogger("shoal.node")

RESCAN_S = 30.0  # In case the file system does not report all changes.
POLL_S = 1.0  # Where nothing can be watched at all.
REMOTE_S = 2.0  # On a network's file system, if nobody has set how often to look.
GATHER_S = 0.2  # Changes within so short a time are looked at together.


class Occasions:
    """Iterate over it to wait for one occasion after another, until `stopping` is set."""

    def __init__(
        self,
        folder: Path,
        stopping: threading.Event,
        kind_of: Callable[[Path], str | None] = remote.kind_of,
    ) -> None:
        """`kind_of` says which network's file system a path is on, if it is on one."""
        self._kind_of = kind_of
        self.is_away = False  # Whether the folder is; the watcher says so.
        self.due = math.inf  # When to look in any case, in monotonic seconds …
        self.rest_until = -math.inf  # … and when at everything again, at the earliest.
        self.rescan_s = RESCAN_S  # How often to look at everything, if that is not too often.
        self._folder = folder
        self._stopping = stopping
        self._names: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._changes: Changes | None = None

    def add(self, name: str) -> None:
        """Have one thing looked at. May be called from any thread."""
        self._names.put(name)
        self.wake()

    def wake(self) -> None:
        """Make this an occasion. May be called from any thread, and from a signal handler."""
        changes = self._changes
        if changes is not None:
            changes.wake()

    def __iter__(self) -> Iterator[Changed]:
        """Yield what to look at, each time."""
        while not self._stopping.is_set():
            try:
                kind = self._kind_of(self._folder)
                yield from self._reported_changes() if kind is None else self._polled(kind)
            except OSError as error:
                yield Changed(everything=True)
                if not self.is_away:
                    log.warning(
                        "changes are not reported here (%s); will look every second", error.strerror
                    )
                    break
            while self.is_away and not self._stopping.wait(POLL_S):
                yield Changed(everything=True)
        while not self._stopping.wait(max(POLL_S, self._left_s(self.rest_until))):
            yield Changed(everything=True)

    def _polled(self, kind: str) -> Iterator[Changed]:
        every_s = REMOTE_S if self.rescan_s == RESCAN_S else self.rescan_s
        place = display(str(self._folder))
        log.info("%s is on %s; looking at it every %g s", place, kind, every_s)
        while not self._stopping.is_set() and not self.is_away:
            yield Changed(everything=True)
            self._stopping.wait(max(every_s, self._left_s(self.rest_until)))

    def _reported_changes(self) -> Iterator[Changed]:
        from shoal.node.folder.changes import Changes  # noqa: PLC0415 (a mere fetch does not need it)

        with contextlib.closing(Changes(self._folder)) as changes:
            self._changes = changes
            rescan_at = -math.inf
            while not self._stopping.is_set() and not self.is_away:
                changed = changes.wait(self._left_s(min(self.due, rescan_at)))
                changed.is_everything |= time.monotonic() >= rescan_at
                if changed.is_everything:
                    self._stopping.wait(self._left_s(self.rest_until))
                elif changed:
                    self._stopping.wait(GATHER_S)
                changed.update(changes.wait(0.0))  # The same look sees what came meanwhile.
                self._add_names(changed)
                if not self._stopping.is_set():
                    yield changed
                if changed.is_everything:
                    rescan_at = max(time.monotonic() + self.rescan_s, self.rest_until)

    def _add_names(self, changed: Changed) -> None:
        while not self._names.empty():
            changed.add(self._names.get())

    def _left_s(self, until: float) -> float:
        return max(0.0, until - time.monotonic())

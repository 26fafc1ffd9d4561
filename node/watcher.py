"""The thread that keeps the inventory true to the folder: hashes what is new, drops what is gone.

A thing that is still being written is left alone until it has been quiet for a moment.
"""

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from node.cache import Cache
from node.examining import Examiner
from node.folder import Folder
from node.inventory import Inventory
from node.register import Register
from node.rules import Rules
from node.settings import NodeSettings
from node.titles import Published
from node.unreadable import Unreadable
from node.whole import GoneError, Signature, Source, Whole
from protocol.names import display

if TYPE_CHECKING:
    from node.changes import Changes

log = logging.getLogger("shoal.node")

REST = 9  # Times what a look takes: a tree of a million files is not looked through all the time.


class Watcher:
    """Looks after one folder, from `start` to `stop`."""

    _on_looked: Callable[[], None]

    def __init__(
        self,
        folder: Path,
        inventory: Inventory,
        cache: Cache,
        rules: Rules,
        register: Register,
        settings: NodeSettings,
    ) -> None:
        self._stopping = threading.Event()
        self._rules = rules
        self._register = register
        unreadable = Unreadable()
        self._examiner = Examiner(cache, rules, self._stopping.is_set, unreadable)
        self._due = math.inf  # When to look again at what changes too often.
        self._folder = Folder(folder, rules, self._stopping.is_set, unreadable)
        self._inventory = inventory
        self._cache = cache
        self._settings = settings
        self._looking = threading.Lock()
        self._last_seen: dict[str, Signature] | None = None
        self._waiting: dict[str, int] = {}  # What is to be hashed: sizes in bytes, by name.
        self._hashing: tuple[str, int, int] | None = None  # Name, size, and what was done before.
        self._rest_s = 0.0
        self._first_look_is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._changes: Changes | None = None

    def start(self, on_looked: Callable[[], None]) -> None:
        """Begin; call `on_looked` when all that lies there at the start is in the inventory."""
        self._on_looked = on_looked
        self._thread.start()

    def interrupt(self) -> None:
        """Have what is being hashed given up, for good. For signal handlers too."""
        self._stopping.set()
        changes = self._changes
        if changes is not None:
            changes.wake()

    def stop(self) -> None:
        self.interrupt()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def has_looked(self) -> bool:
        """Say whether all that lay in the folder at the start is in the inventory."""
        return self._first_look_is_over.is_set()

    def look_once(self, limit_s: float) -> None:
        """Look through the folder in the caller's thread, for at most about `limit_s`.

        What is in the inventory was looked at just now, and is believed.
        """
        timer = threading.Timer(limit_s, self._stopping.set)
        timer.start()
        try:
            if self._look(but=self._inventory.names()) and not self._stopping.is_set():
                self._first_look_is_over.set()
        finally:
            timer.cancel()

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until everything that lay in the folder at the start is in the inventory."""
        return self._first_look_is_over.wait(timeout_s)

    def look_at(
        self,
        name: str,
        on_hashed: Callable[[int, int], None] | None = None,
        *,
        over: Published | None = None,
    ) -> Whole | None:
        """Bring one thing up to date now, in the caller's thread; return it if it is shared.

        None too if it keeps changing. `on_hashed` is told, again and again, how many bytes are
        hashed, and of how many. If it is to be published `over` what is published under its name,
        it becomes the next version, unless it is the newest one.
        """
        with self._looking:
            source = self._source_of(name)
            if source is None:
                self._inventory.remove(name)
                return None
            self._examiner.progress.begin([source], on_hashed)
            is_taken = self._take_in(name, source, over=over)
            return self._inventory.whole(name) if is_taken else None

    def why_not(self, name: str) -> str | None:
        """Return why what lies there under a name could not be shared, as far as that is known."""
        return self._folder.why_not(name)

    def look_through(self) -> None:
        """Bring everything up to date now, in the caller's thread."""
        while not self._look() and not self._stopping.wait(self._settings.stable_s):
            pass

    def examine(self, name: str) -> Whole | None:
        """Return the thing of that name as it is now, without taking it into the inventory.

        What was to be forgotten is found too.
        """
        with self._looking:
            source = self._source_of(name, even_forgotten=True)
            if source is None:
                return None
            self._examiner.progress.begin([source])
            try:
                return self._examiner.examined(name, source)
            except GoneError:
                return None

    def hashing(self, name: str) -> tuple[int, int] | None:
        """Return how many bytes of a thing are hashed, and of how many; None: it is not at it.

        May be called from any thread, and waits for nothing.
        """
        at_work = self._hashing
        if at_work is not None and at_work[0] == name:
            _, size_bytes, before = at_work
            done = self._examiner.progress.done_bytes - before
            return min(max(done, 0), size_bytes), size_bytes
        size = self._waiting.get(name)
        return None if size is None else (0, size)

    def forget(self, name: str) -> None:
        """Note that a thing was found to be not what it was; it is hashed again if it is there."""
        self._inventory.remove(name)

    def _run(self) -> None:
        self._look()
        self._first_look_is_over.set()
        self._on_looked()
        for _ in self._occasions():
            while not self._look():
                if self._stopping.wait(self._settings.stable_s + self._rest_s):
                    return
            if self._stopping.wait(self._rest_s):
                return

    def _look(self, but: Collection[str] = ()) -> bool:
        """Compare the inventory with the folder; say whether everything was at rest.

        What is named in `but` is taken to be as it is known.
        """
        with self._looking:
            began = time.monotonic()
            known = self._inventory.names()  # Before the look: what is fetched meanwhile is there.
            known += self._last_seen or ()
            try:
                seen = self._folder.things(but)
            except GoneError:
                return True  # It is to stop.
            self._rest_s = REST * (time.monotonic() - began)
            self._drop({*known} - {*seen, *but})
            new = self._new(seen, began)
            self._examiner.progress.begin(new.values())
            self._waiting = {name: source.size_bytes for name, source in new.items()}
            at_rest = True
            for name, source in new.items():
                if self._stopping.is_set():
                    return True
                is_steady = self._last_seen is None or (
                    self._last_seen.get(name) == source.signature
                )
                at_rest &= is_steady and self._take_in(name, source)
                if is_steady:
                    self._waiting.pop(name, None)
            self._last_seen = {name: source.signature for name, source in seen.items()}
            return at_rest

    def _new(self, seen: dict[str, Source], now: float) -> dict[str, Source]:
        """Return what is not in the inventory as it is, but for what changes too often."""
        new = {name: source for name, source in seen.items() if not self._is_known(name, source)}
        dues = {name: self._examiner.due(name, source) for name, source in new.items()}
        self._due = min((due for due in dues.values() if due > now), default=math.inf)
        return {name: source for name, source in new.items() if dues[name] <= now}

    def _drop(self, gone: set[str]) -> None:
        for name in sorted(gone):
            self._inventory.remove(name)
            self._cache.forget(name)
            if os.path.lexists(self._folder.path / name):  # It is not to be shared, or not yet.
                continue
            self._register.gone(name)
            self._examiner.gone(name)
            log.info("%s is gone from the folder", display(name))

    def _source_of(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        try:
            return self._folder.source_of(name, even_forgotten=even_forgotten)
        except GoneError:
            return None

    def _is_known(self, name: str, source: Source) -> bool:
        known = self._inventory.whole(name)
        return known is not None and known.signature == source.signature

    def _take_in(self, name: str, source: Source, *, over: Published | None = None) -> bool:
        """Have `name` in the inventory as it is now, if it is to be shared; no if it changed."""
        known = self._inventory.whole(name)
        if known is not None and known.signature == source.signature:
            known.source = source  # What is left out of it may be something else now.
            return True
        self._hashing = name, source.size_bytes, self._examiner.progress.done_bytes
        try:
            thing = self._examiner.examined(name, source)
        except GoneError:
            return False
        finally:
            self._hashing = None
        if thing is None:
            return True
        title = self._register.entitle(name, thing.id, over=over)
        if title is None:
            self._inventory.remove(name)
            return True
        thing.title = title
        self._inventory.put(thing)
        return True

    def _occasions(self) -> Iterator[None]:
        """Yield whenever the folder may have changed."""
        try:
            yield from self._reported_changes()
        except OSError as error:
            log.warning(
                "changes are not reported here (%s); will look every second", error.strerror
            )
        while not self._stopping.wait(self._settings.poll_s):
            yield

    def _patience_s(self) -> float:
        """Return for how long nothing needs to be looked at if nothing changes."""
        return min(self._settings.rescan_s, max(0.0, self._due - time.monotonic()))

    def _reported_changes(self) -> Iterator[None]:
        from node.changes import Changes  # noqa: PLC0415 (a mere fetch does not need it)

        with contextlib.closing(Changes(self._folder.path)) as changes:
            self._changes = changes
            yield  # What came since the first look, and before all was watched.
            while not self._stopping.is_set():
                if changes.wait(self._patience_s()):
                    self._stopping.wait(self._settings.gather_s)
                    changes.wait(0.0)  # What came meanwhile is seen by the same look.
                if not self._stopping.is_set():
                    yield

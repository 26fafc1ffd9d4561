"""The thread that keeps the inventory true to the folder: hashes what is new, drops what is gone.

A thing that is still being written is left alone until it has been quiet for a moment. What is
large is hashed in a thread of its own, and holds up nothing else. A folder that cannot be looked at
is not taken to be empty, and what cannot be taken in is left out.
"""

import contextlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from shoal.node.files.signature import GoneError, Signature
from shoal.node.files.unreadable import Unreadable
from shoal.node.folder.cache import Cache
from shoal.node.folder.contents import AwayError, Folder, NotNowError
from shoal.node.folder.examining import Examiner
from shoal.node.folder.hash_progress import HashProgress
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.large_things import LARGE_BYTES, LargeThings
from shoal.node.folder.name_locks import NameLocks
from shoal.node.folder.occasions import RESCAN_S, Occasions
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.source import Source
from shoal.node.folder.whole import Whole
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display
from shoal.protocol.titles import Published

log = logging.getLogger("shoal.node")

OnHashed = Callable[[int, int], None]  # How many bytes are hashed, and of how many.

STABLE_S = 0.2  # A file that changed within this is still being written.
REST = 9  # Times what a look takes: a tree of a million files is not looked through all the time.


class Watcher:
    """Looks after one folder, from `start` to `stop`."""

    def __init__(
        self,
        folder: Path,
        inventory: Inventory,
        cache: Cache,
        rules: Rules,
        register: Register,
        on_looked: Callable[[], None],
    ) -> None:
        """`on_looked` is called once the inventory has all that was in the folder at the start."""
        self._stopping = threading.Event()
        self._rules = rules
        self._register = register
        unreadable = Unreadable()
        self._examiner = Examiner(cache, rules, self._stopping.is_set, unreadable)
        self._progress = HashProgress()  # Of a look.
        self._folder = Folder(folder, rules, self._stopping.is_set, unreadable)
        self._inventory = inventory
        self._cache = cache
        self._occasions = Occasions(folder, self._stopping)
        self._looking = threading.Lock()  # Through the folder; nothing is hashed meanwhile.
        self._names = NameLocks()  # Of what is taken in.
        self._large = LargeThings(self._take_in_large, self._note_first_look)
        self._refused: dict[str, Signature] = {}  # What could not be taken in as it was then.
        self._has_seen_all = False
        self._last_seen: dict[str, Signature] | None = None
        self._waiting: dict[str, int] = {}  # What is to be hashed: sizes in bytes, by name.
        self._rest_s = 0.0
        self._first_look_is_over = threading.Event()
        self._on_looked = on_looked
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self, rescan_s: float = RESCAN_S) -> None:
        """Look through the folder when changes are reported, and every `rescan_s` seconds."""
        self._occasions.rescan_s = rescan_s
        self._thread.start()

    def interrupt(self) -> None:
        """Have what is being hashed given up, for good. For signal handlers too."""
        self._stopping.set()
        self._large.interrupt()
        self._occasions.wake()

    def stop(self) -> None:
        self.interrupt()
        if self._thread.is_alive():
            self._thread.join()
        self._large.stop()

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
            is_at_rest = self._look(but=self._inventory.names())
            if is_at_rest and not self._stopping.is_set():
                self._note_first_look()
        finally:
            timer.cancel()

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until everything that lay in the folder at the start is in the inventory."""
        return self._first_look_is_over.wait(timeout_s)

    def hashing(self, name: str) -> tuple[int, int] | None:
        """Return how many bytes of a thing are hashed, and of how many, if that is under way.

        None is hashed of what waits for its turn. May be called from any thread; does not wait.
        """
        found = self._examiner.hashing(name)
        if found is not None:
            return found
        large = self._large.find(name)
        size_bytes = self._waiting.get(name) if large is None else large.size_bytes
        return None if size_bytes is None else (0, size_bytes)

    def require_there(self) -> None:
        """Raise OperatorError if the folder is not there: nothing may be written in its place."""
        self._folder.require_there()

    def look_at(
        self,
        name: str,
        on_hashed: OnHashed | None = None,
        *,
        over: Published | None = None,
    ) -> Whole | None:
        """Bring one thing up to date now, in the caller's thread; return it if it is shared.

        None too if it keeps changing. `on_hashed` is told, again and again, how many bytes are
        hashed, and of how many; what it raises ends the look. If it is to be published `over` what
        is published under its name, it becomes the next version, unless it is the newest one.

        Raises:
            OperatorError: the folder is not there.
        """
        with self._alone_with(name, on_hashed):
            try:
                source = self._source_of(name)
            except NotNowError:
                return None
            if source is None:
                self._inventory.remove(name)
                return None
            is_taken = self._take_in(name, source, _progress_of(source, on_hashed), over=over)
            return self._inventory.whole(name) if is_taken else None

    def why_not(self, name: str) -> str | None:
        """Return why what lies there under a name could not be shared, as far as that is known."""
        return self._folder.why_not(name)

    def look_through(self) -> None:
        """Bring all but what is large up to date now, in the caller's thread."""
        while not self._look() and not self._stopping.wait(STABLE_S):
            pass

    def wait_for_large(self) -> None:
        """Wait until what is large, and has been seen, is up to date too."""
        self._large.wait_until_idle()

    def examine(self, name: str, on_hashed: OnHashed | None = None) -> Whole | None:
        """Return the thing of that name as it is now, without taking it into the inventory.

        What was to be forgotten is found too. Otherwise as `look_at`.
        """
        with self._alone_with(name, on_hashed):
            try:
                source = self._source_of(name, even_forgotten=True)
                if source is None:
                    return None
                return self._examiner.examined(name, source, _progress_of(source, on_hashed))
            except (GoneError, NotNowError):
                return None

    def forget(self, name: str) -> None:
        """Note that a thing was found to be not what it was; it is hashed again if it is there.

        Not while the whole folder is away: then it is said of all things, and true of none.
        """
        with contextlib.suppress(AwayError):
            self._folder.require_there()
            self._inventory.remove(name)

    def _alone_with(
        self, name: str, on_hashed: OnHashed | None
    ) -> contextlib.AbstractContextManager[None]:
        """Have nobody else look at a thing; tell how far who does is meanwhile."""

        def tell() -> None:
            if on_hashed is not None:
                on_hashed(*self.hashing(name) or (0, 0))

        return self._names.holding(name, tell)

    def _run(self) -> None:
        self._look()
        self._note_first_look()
        for _ in self._occasions:
            while not self._look():
                if self._stopping.wait(STABLE_S + self._rest_s):
                    return
            self._note_first_look()
            if self._stopping.wait(self._rest_s):
                return

    def _note_first_look(self) -> None:
        """Note, and tell, that all that lay there at the start is in the inventory, once it is."""
        is_over = self._first_look_is_over.is_set()
        if self._has_seen_all and self._large.is_idle and not is_over:
            self._on_looked()
            self._first_look_is_over.set()

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
            except AwayError as error:
                self._note_away(error)
                return True
            self._note_away(None)
            self._rest_s = REST * (time.monotonic() - began)
            self._drop({*known} - {*seen, *but, *self._folder.unreadable})
            new = self._new(seen, began)
            before = self._last_seen
            self._waiting = {name: source.size_bytes for name, source in new.items()}
            self._last_seen = {name: source.signature for name, source in seen.items()}
        is_at_rest = self._take_in_all(new, before)
        self._has_seen_all |= not self._stopping.is_set()
        return is_at_rest

    def _take_in_all(
        self, new: Mapping[str, Source], before: Mapping[str, Signature] | None
    ) -> bool:
        """Take in what is new and was the same `before`; say whether all of it was.

        The smallest comes first. What is large is not waited for, if there is a thread that can.
        """
        self._progress.begin(new.values())
        at_rest = True
        for name, source in sorted(new.items(), key=lambda item: item[1].size_bytes):
            if self._stopping.is_set():
                return True
            if before is not None and before.get(name) != source.signature:
                at_rest = False
                continue
            self._waiting.pop(name, None)
            if source.size_bytes >= LARGE_BYTES and self._thread.is_alive():
                self._large.add(name, source)
            else:
                with self._names.holding(name):
                    at_rest &= self._take_in(name, source, self._progress)
        return at_rest

    def _take_in_large(self, name: str, source: Source) -> None:
        progress = HashProgress()
        progress.begin([source])
        with self._names.holding(name):
            is_taken = self._take_in(name, source, progress)
        if not is_taken:
            self._occasions.wake()

    def _note_away(self, error: AwayError | None) -> None:
        if error is not None and not self._occasions.is_away:
            log.warning("%s", error)
        elif error is None and self._occasions.is_away:
            log.info("%s is there again", display(str(self._folder.path)))
        self._occasions.is_away = error is not None

    def _new(self, seen: dict[str, Source], now: float) -> dict[str, Source]:
        """Return what is not in the inventory as it is, but for what changes too often."""
        self._refused = {
            name: refused
            for name, refused in self._refused.items()
            if name in seen and seen[name].signature == refused
        }
        new = {
            name: source
            for name, source in seen.items()
            if name not in self._refused and not self._is_known(name, source)
        }
        dues = {name: self._examiner.due(name, source) for name, source in new.items()}
        self._occasions.due = min((due for due in dues.values() if due > now), default=math.inf)
        return {name: source for name, source in new.items() if dues[name] <= now}

    def _drop(self, gone: set[str]) -> None:
        for name in sorted(gone):
            if self._is_back(name):
                continue
            self._inventory.remove(name)
            self._cache.forget(name)
            if os.path.lexists(self._folder.path / name):  # It is not to be shared, or not yet.
                continue
            self._register.gone(name)
            self._examiner.gone(name)
            log.info("%s is gone from the folder", display(name))

    def _is_back(self, name: str) -> bool:
        """Return whether it came, or may be shared again, since it was looked for."""
        try:
            return self._source_of(name) is not None
        except (AwayError, NotNowError):
            return False

    def _source_of(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        try:
            return self._folder.source_of(name, even_forgotten=even_forgotten)
        except GoneError:
            return None

    def _is_known(self, name: str, source: Source) -> bool:
        known = self._inventory.whole(name)
        return known is not None and known.signature == source.signature

    def _take_in(
        self, name: str, source: Source, progress: HashProgress, *, over: Published | None = None
    ) -> bool:
        """Have `name` in the inventory as it is now, if it is to be shared; no if it changed."""
        try:
            self._take(name, source, progress, over)
        except GoneError:
            return False
        except OperatorError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, all others are shared)
            self._refused[name] = source.signature
            log.warning("%s is not shared: %s: %s", display(name), type(error).__name__, error)
        return True

    def _take(
        self, name: str, source: Source, progress: HashProgress, over: Published | None
    ) -> None:
        known = self._inventory.whole(name)
        if known is not None and known.signature == source.signature:
            known.source = source  # What is left out of it may be something else now.
            return
        thing = self._examiner.examined(name, source, progress)
        if thing is None:
            return
        if self._rules.of(name).withheld:  # Since it was looked at.
            return
        title = self._register.entitle(name, thing.id, over=over)
        if title is None:
            self._inventory.remove(name)
            return
        thing.title = title
        self._inventory.put(thing)


def _progress_of(source: Source, on_hashed: OnHashed | None) -> HashProgress:
    progress = HashProgress()
    progress.begin([source], on_hashed)
    return progress

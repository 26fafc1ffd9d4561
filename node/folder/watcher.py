"""The thread that keeps the inventory in step with the folder: finds what is new, changed or gone.

Takes nothing in itself (folder.stocktaker). A thing that is still being written is left alone until
it has been quiet for a moment. Large things are hashed in a thread of their own, and delay nothing
else. A folder that cannot be read does not count as empty.
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
from shoal.node.folder.changed import Changed
from shoal.node.folder.contents import AwayError, Folder, Look, NotNowError
from shoal.node.folder.examining import Examiner
from shoal.node.folder.hashing import HashProgress
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.large_things import LARGE_BYTES, LargeThings
from shoal.node.folder.name_locks import NameLocks
from shoal.node.folder.occasions import POLL_S, RESCAN_S, Occasions
from shoal.node.folder.register import Register
from shoal.node.folder.rules import FETCHING, REPLACING, Rules
from shoal.node.folder.source import Source
from shoal.node.folder.stocktaker import Stocktaker
from shoal.node.folder.whole import Whole
from shoal.protocol.names import display
from shoal.protocol.titles import Published

log = logging.getLogger("shoal.node")

EVERYTHING = Changed(everything=True)
OnHashed = Callable[[int, int], None]  # How many bytes are hashed, and of how many.

ELSEWHERE_S = 2.0  # How often to look at what links lead to: changes there are not reported.
STABLE_S = 0.2  # A file that changed within this is still being written.
REST = 9  # Times as long as a look takes: a tree of a million files is not scanned all the time.


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
        unreadable = Unreadable()
        self._examiner = Examiner(cache, rules, self._stopping.is_set, unreadable)
        self._progress = HashProgress()  # Of a look.
        self._folder = Folder(folder, rules, self._stopping.is_set, unreadable)
        self._inventory = inventory
        self._stocktaker = Stocktaker(inventory, cache, rules, register, self._examiner)
        self._occasions = Occasions(folder, self._stopping)
        self._looking = threading.Lock()  # Through the folder; nothing is hashed meanwhile.
        self._names = NameLocks()  # Of the things that are being taken in.
        self._large = LargeThings(self._take_in_large, self._note_first_look)
        self._has_seen_all = False
        self._last_seen: dict[str, Signature] = {}
        self._later: dict[str, float] = {}  # What to look at again, and when.
        self._elsewhere_at = math.inf  # When to look again at what lies elsewhere.
        self._waiting: dict[str, int] = {}  # What is to be hashed: sizes in bytes, by name.
        self._rest_s = 0.0
        self._first_look_is_over = threading.Event()
        self._on_looked = on_looked
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self, rescan_s: float = RESCAN_S) -> None:
        """Look through the folder when changes are reported, and every `rescan_s` seconds."""
        self._occasions.rescan_s = rescan_s
        self._thread.start()

    def only_read(self, links: Path) -> None:
        """Take the folder for somebody else's; the node's links are in `links`. Before `start`."""
        self._folder.links_at = links

    def tell_of_damage(self, on_damaged: Callable[[str], None]) -> None:
        """Have a function told the name of each thing that has lost bytes. Before `start`."""
        self._examiner.on_damaged = on_damaged

    def interrupt(self) -> None:
        """Give up hashing, for good. For signal handlers too."""
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
        """Say whether everything that was in the folder at the start is in the inventory."""
        return self._first_look_is_over.is_set()

    def look_once(self, limit_s: float) -> None:
        """Look through the folder in the caller's thread, for at most about `limit_s`.

        Things in the inventory have just been looked at, and are not looked at again.
        """
        timer = threading.Timer(limit_s, self._stopping.set)
        timer.start()
        try:
            restless = self._look(but=self._inventory.names())
            if not restless and not self._stopping.is_set():
                self._note_first_look()
        finally:
            timer.cancel()

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until everything that was in the folder at the start is in the inventory."""
        return self._first_look_is_over.wait(timeout_s)

    def hashing(self, name: str) -> tuple[int, int] | None:
        """Return how many bytes of a thing are hashed, and of how many, if that is under way.

        A thing that waits for its turn has 0. May be called from any thread; does not wait.
        """
        found = self._examiner.hashing(name)
        if found is not None:
            return found
        large = self._large.find(name)
        size_bytes = self._waiting.get(name) if large is None else large.size_bytes
        return None if size_bytes is None else (0, size_bytes)

    def all_hashing(self) -> list[tuple[str, int, int]]:
        """Return what is being hashed now: name, how many bytes are hashed, and of how many.

        May be called from any thread; does not wait.
        """
        return self._examiner.all_hashing()

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
            is_taken = self._stocktaker.take_in(
                name, source, _progress_of(source, on_hashed), over=over
            )
            return self._inventory.whole(name) if is_taken else None

    def why_not(self, name: str) -> str | None:
        """Return why the thing of that name could not be shared, if that is known."""
        return self._folder.why_not(name)

    def look_through(self) -> None:
        """Bring everything but large things up to date now, in the caller's thread."""
        changed = EVERYTHING
        while restless := self._look(changed):
            if self._stopping.wait(STABLE_S):
                return
            changed = Changed()
            for name in restless:
                changed.add(name)

    def look_at_first(self) -> None:
        """Look through the folder, as `look_through` does, if nobody has since the start.

        What is still being written is left for later.
        """
        if not self.has_looked:
            self._look()

    def wait_for_large(self) -> None:
        """Wait until the large things that have been seen are up to date too."""
        self._large.wait_until_idle()

    def examine(self, name: str, on_hashed: OnHashed | None = None) -> Whole | None:
        """Return the thing of that name as it is now, without taking it into the inventory.

        Forgotten things are found too. Otherwise as `look_at`.
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
        """Note that a thing turned out to have changed; it is hashed again if it is there.

        Not while the whole folder is away: then it is said of all things, and true of none.
        """
        with contextlib.suppress(AwayError):
            self._folder.require_there()
            self._inventory.remove(name)
            self._occasions.add(name)

    def _alone_with(
        self, name: str, on_hashed: OnHashed | None
    ) -> contextlib.AbstractContextManager[None]:
        """Keep all others from a thing; while waiting for one of them, report its progress."""

        def tell() -> None:
            if on_hashed is not None:
                on_hashed(*self.hashing(name) or (0, 0))

        return self._names.holding(name, tell)

    def _run(self) -> None:
        for changed in self._occasions:
            self._look(changed)
            self._note_first_look()
            if self._stopping.wait(self._rest_s):
                return

    def _note_first_look(self) -> None:
        """Report, once, that everything that was there at the start is in the inventory."""
        is_over = self._first_look_is_over.is_set()
        if self._has_seen_all and self._large.is_idle and not is_over:
            self._on_looked()
            self._first_look_is_over.set()

    def _look(self, changed: Changed = EVERYTHING, but: Collection[str] = ()) -> set[str]:
        """Compare the inventory with the folder where it changed; return the things still changing.

        The things named in `but` are taken to be unchanged.
        """
        with self._looking:
            began = time.monotonic()
            try:
                look, known = self._seen(changed, began, but)
            except GoneError:
                return set()  # It is to stop.
            except AwayError as error:
                self._note_away(error)
                return set()
            self._note_away(None)
            self._rest(changed, time.monotonic() - began)
            self._drop(known - {*look.found, *but, *look.unreadable})
            new = self._new(look, began)
            before = {name: self._last_seen.get(name) for name in new}
            self._note_seen(changed, look, new)
        restless = self._take_in_all(new, before)
        with self._looking:
            self._later |= dict.fromkeys(restless, time.monotonic() + STABLE_S)
            if not self._folder.elsewhere:
                self._elsewhere_at = math.inf
            elif self._elsewhere_at <= began or self._elsewhere_at == math.inf:
                self._elsewhere_at = time.monotonic() + ELSEWHERE_S
            self._occasions.due = min(*self._later.values(), self._elsewhere_at, math.inf)
            self._has_seen_all |= changed.is_everything and not self._stopping.is_set()
        return restless

    def _seen(self, changed: Changed, now: float, but: Collection[str]) -> tuple[Look, set[str]]:
        """Look where something changed or is due; return the look, and the names known before."""
        if changed.is_everything:
            known = {*self._inventory.names(), *self._last_seen}  # Before: fetches go on meanwhile.
            return self._folder.look(but), known
        due = (name for name, at in self._later.items() if at <= now)
        where: dict[str, Collection[str]] = dict.fromkeys(due, ())
        where |= changed.things
        if self._elsewhere_at <= now:
            where |= dict.fromkeys(self._folder.elsewhere, ("",))
        known = {name for name in self._folder.with_links(where) if self._was_there(name)}
        return self._folder.look_again(where), known

    def _was_there(self, name: str) -> bool:
        return name in self._last_seen or self._inventory.whole(name) is not None

    def _take_in_all(
        self, new: Mapping[str, Source], before: Mapping[str, Signature | None]
    ) -> set[str]:
        """Take in the new things that were the same `before`; return the others.

        The smallest comes first. Large ones are left to their thread, if this one runs.
        """
        self._progress.begin(new.values())
        restless: set[str] = set()
        for name, source in sorted(new.items(), key=lambda item: item[1].size_bytes):
            if self._stopping.is_set():
                return set()
            if self._has_seen_all and before.get(name) != source.signature:
                restless.add(name)
                continue
            self._waiting.pop(name, None)
            if source.size_bytes >= LARGE_BYTES and self._thread.is_alive():
                self._large.add(name, source)
            elif not self._take_in_alone(name, source, self._progress):
                restless.add(name)
        return restless

    def _take_in_alone(self, name: str, source: Source, progress: HashProgress) -> bool:
        with self._names.holding(name):
            return self._stocktaker.take_in(name, source, progress)

    def _take_in_large(self, name: str, source: Source) -> None:
        if not self._take_in_alone(name, source, _progress_of(source, None)):
            self._occasions.add(name)

    def _note_away(self, error: AwayError | None) -> None:
        if error is not None and not self._occasions.is_away:
            log.warning("%s", error)
        elif error is None and self._occasions.is_away:
            log.info("%s is back", display(str(self._folder.path)))
        self._occasions.is_away = error is not None

    def _rest(self, changed: Changed, took_s: float) -> None:
        """Spend a tenth of the time looking; a look at everything does not delay the others."""
        self._rest_s = 0.0 if changed.is_everything else REST * took_s
        if changed.is_everything:
            self._occasions.rest_until = time.monotonic() + REST * took_s

    def _new(self, look: Look, now: float) -> dict[str, Source]:
        """Return the things that the inventory lacks or has as they were, unless put off."""
        new: dict[str, Source] = {}
        for name in look.names:
            self._later.pop(name, None)
            if self._rules.of(name).withheld in {FETCHING, REPLACING}:
                self._later[name] = now + POLL_S  # Nothing is reported when that is over.
            source = look.found.get(name)
            if source is not None and self._stocktaker.needs(name, source):
                new[name] = source
        dues = {name: self._examiner.due(name, source) for name, source in new.items()}
        self._later |= {name: due for name, due in dues.items() if due > now}
        return {name: source for name, source in new.items() if dues[name] <= now}

    def _note_seen(self, changed: Changed, look: Look, new: Mapping[str, Source]) -> None:
        """Note what was seen where the look was, and what is to be hashed."""
        if changed.is_everything:
            self._last_seen, self._waiting = {}, {}
        for name in look.names:
            self._last_seen.pop(name, None)
            self._waiting.pop(name, None)
        self._last_seen |= {name: source.signature for name, source in look.found.items()}
        self._waiting |= {name: source.size_bytes for name, source in new.items()}

    def _drop(self, gone: set[str]) -> None:
        for name in sorted(gone):
            if not self._is_back(name):
                is_there = os.path.lexists(self._folder.place(name))
                self._stocktaker.drop(name, is_there=is_there)

    def _is_back(self, name: str) -> bool:
        """Say whether it has come back, or may be shared again, since the look."""
        try:
            return self._source_of(name) is not None
        except (AwayError, NotNowError):
            return False

    def _source_of(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        try:
            return self._folder.source_of(name, even_forgotten=even_forgotten)
        except GoneError:
            return None


def _progress_of(source: Source, on_hashed: OnHashed | None) -> HashProgress:
    progress = HashProgress()
    progress.begin([source], on_hashed)
    return progress

"""From a file or directory to a thing with an id: from the cache, or by hashing it.

Does not know what else is in the folder, and puts nothing into the inventory.
"""

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
from shoal.node.files.signature import GoneError
from shoal.node.files.unreadable import PASSING, Unreadable, UnreadableError, why
from shoal.node.folder.cache import Cache
from shoal.node.folder.cadence import Cadence
from shoal.node.folder.hashing import HashProgress, hash_source, verified_chunks
from shoal.node.folder.rules import DAMAGED, DEFAULT_CHUNKING, Damage, Rules
from shoal.node.folder.source import Source
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.protocol import bitmap
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import Manifest, encode
from shoal.protocol.names import display

log = logging.getLogger("shoal.node")


class Examiner:
    """Hashes the things of one folder, each for one caller at a time."""

    def __init__(
        self,
        cache: Cache,
        rules: Rules,
        should_stop: Callable[[], bool],
        unreadable: Unreadable | None = None,
    ) -> None:
        """`unreadable` is told of each file that cannot be read."""
        self.on_damaged: Callable[[str], None] = lambda _: None  # Told what has lost bytes.
        self._unreadable = unreadable or Unreadable()
        self._guard = threading.Lock()
        self._hashed_bytes: dict[str, int] = {}  # Of each that is being hashed.
        self._sizes_bytes: dict[str, int] = {}
        self._cache = cache
        self._rules = rules
        self._should_stop = should_stop
        self._cadence = Cadence()

    def due(self, name: str, source: Source) -> float:
        """Return when to examine a thing, in monotonic seconds: later if it changes often."""
        with self._guard:
            due = self._cadence.due(name)
        is_remembered = due > time.monotonic() and self._cache.manifest_of(name, source.signature)
        return -math.inf if is_remembered else due

    def gone(self, name: str) -> None:
        with self._guard:
            self._cadence.gone(name)

    def hashing(self, name: str) -> tuple[int, int] | None:
        """Return how many bytes are hashed, and of how many, if that is going on."""
        with self._guard:
            done_bytes = self._hashed_bytes.get(name)
            return None if done_bytes is None else (done_bytes, self._sizes_bytes[name])

    def all_hashing(self) -> list[tuple[str, int, int]]:
        """Return everything that is being hashed: name, how many bytes are, and of how many."""
        with self._guard:
            return [
                (name, done_bytes, self._sizes_bytes[name])
                for name, done_bytes in self._hashed_bytes.items()
            ]

    def examined(
        self, name: str, source: Source, progress: HashProgress, before: Whole | None = None
    ) -> Whole | None:
        """Return the thing as it is now, None if it cannot be read. `progress` is told meanwhile.

        Unreadable files of a directory are left out. Those that have not changed since `before`, an
        earlier version, need not be read.

        Raises:
            GoneError: it changed meanwhile, the node is stopping, or it is to be forgotten.
        """
        while True:
            try:
                return self._examined(name, source, progress, before)
            except UnreadableError as error:
                assert isinstance(source, Tree)
                self._unreadable.note(error.filename, error)
                log.warning("%s is not shared: %s", display(f"{name}/{error.inside}"), why(error))
                source = source.without(error.inside, why(error))

    def _examined(
        self, name: str, source: Source, progress: HashProgress, before: Whole | None
    ) -> Whole | None:
        signature, place = source.signature, source.path
        data = self._cache.manifest_of(name, signature) or self._cache.move(name, signature, place)
        if data is not None:
            try:
                return Whole(name, data, source)
            except MalformedMessageError:  # An earlier version of shoal wrote it.
                pass
        try:
            known = self._still_right(name, source, progress)
            if known is not None:
                self._cache.remember(name, signature, known.data, is_durable=True, place=place)
                return known
            data = encode(self._hashed(name, source, progress, before))
        except UnreadableError:
            raise
        except OSError as error:
            if error.errno not in PASSING and error.filename:
                self._unreadable.note(error.filename, error)
            log.warning("%s cannot be read: %s", display(name), error.strerror)
            return None
        self._cache.remember(name, signature, data, place=place)
        return Whole(name, data, source)

    def _still_right(self, name: str, source: Source, progress: HashProgress) -> Whole | None:
        """Return what the thing was before the machine was started again, if it still is that.

        If it has lost bytes, withhold it: its time says that nobody has changed it, so it is no new
        version.
        """
        try:
            data = self._cache.doubtful_manifest_of(name, source.signature)
            known = Whole(name, data, source) if data is not None else None
        except MalformedMessageError:
            return None
        if known is None:
            return None
        right = self._right_chunks(known, progress)
        if right == bitmap.full(known.chunk_count):
            return known
        self._cache.forget(name)
        damaged = known.chunk_count - right.bit_count()
        damage = Damage(known.id, source.signature.text, known.chunk_count, damaged)
        rule = msgspec.structs.replace(self._rules.of(name), withheld=DAMAGED, damage=damage)
        self._rules.set_or_hold(name, rule)
        log.warning(
            "%s: %d of %d chunks were lost with the power; not sharing it until it is healed",
            display(name),
            damaged,
            known.chunk_count,
        )
        self.on_damaged(name)
        return None

    def _right_chunks(self, thing: Whole, progress: HashProgress) -> int:
        """Hash a thing again; return its chunks that are right (protocol.bitmap)."""
        with self._counting(thing.name, thing.source, progress) as (count, should_stop):

            def read(index: int) -> bytes:
                if should_stop():
                    raise GoneError("stopped")
                count(thing.manifest.chunk_size(index))
                return thing.source.read(
                    thing.manifest.chunk_offset(index), thing.manifest.chunk_size(index)
                )

            return verified_chunks(read, thing.manifest, list(range(thing.chunk_count)))

    def _hashed(
        self, name: str, source: Source, progress: HashProgress, before: Whole | None
    ) -> Manifest:
        chunking = self._rules.of(name).chunking or DEFAULT_CHUNKING
        with self._counting(name, source, progress) as (count, should_stop):
            return hash_source(source, count, should_stop, chunking, before)

    @contextlib.contextmanager
    def _counting(
        self, name: str, source: Source, progress: HashProgress
    ) -> Iterator[tuple[Callable[[int], None], Callable[[], bool]]]:
        """Keep count of what is hashed; give a function to count bytes, and one to ask to stop."""
        rule, began = self._rules.of(name), time.monotonic()

        def count(size_bytes: int) -> None:
            with self._guard:
                self._hashed_bytes[name] += size_bytes
            progress.hashed(size_bytes)

        def should_stop() -> bool:
            return self._should_stop() or self._rules.of(name).withheld not in {"", rule.withheld}

        with self._guard:
            self._hashed_bytes[name], self._sizes_bytes[name] = 0, source.size_bytes
        try:
            yield count, should_stop
        finally:
            now = time.monotonic()
            with self._guard:
                del self._hashed_bytes[name], self._sizes_bytes[name]
                self._cadence.hashed(name, now, now - began)

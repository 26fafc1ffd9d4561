"""From what lies in a folder to a thing with an id: by what is remembered, or by hashing it.

Does not know what else is in the folder, and puts nothing into the inventory.
"""

import logging
import math
import time
from collections.abc import Callable

from node.cache import Cache
from node.cadence import Cadence
from node.hash_progress import HashProgress
from node.hashing import hash_source
from node.rules import DEFAULT_CHUNKING, Rules
from node.tree import Tree
from node.unreadable import PASSING, Unreadable, UnreadableError, why
from node.whole import Source, Whole
from protocol.errors import MalformedMessageError
from protocol.manifest import Manifest, encode
from protocol.names import display

log = logging.getLogger("shoal.node")


class Examiner:
    """Hashes the things of one folder. One caller at a time."""

    def __init__(
        self,
        cache: Cache,
        rules: Rules,
        should_stop: Callable[[], bool],
        unreadable: Unreadable | None = None,
    ) -> None:
        """`unreadable` is told of each file that cannot be read."""
        self.progress = HashProgress()
        self._unreadable = unreadable or Unreadable()
        self._cache = cache
        self._rules = rules
        self._should_stop = should_stop
        self._cadence = Cadence()

    def due(self, name: str, source: Source) -> float:
        """Return when to examine a thing, in monotonic seconds: later if it changes often."""
        due = self._cadence.due(name)
        is_remembered = due > time.monotonic() and self._cache.manifest_of(name, source.signature)
        return -math.inf if is_remembered else due

    def gone(self, name: str) -> None:
        self._cadence.gone(name)

    def examined(self, name: str, source: Source) -> Whole | None:
        """Return the thing as it is now, None if it cannot be read.

        What cannot be read in a directory is left out of it.

        Raises:
            GoneError: it changed meanwhile, or all is to stop.
        """
        while True:
            try:
                return self._examined(name, source)
            except UnreadableError as error:
                assert isinstance(source, Tree)
                self._unreadable.note(error.filename, error)
                log.warning("%s is not shared: %s", display(f"{name}/{error.inside}"), why(error))
                source = source.without(error.inside, why(error))

    def _examined(self, name: str, source: Source) -> Whole | None:
        data = self._cache.manifest_of(name, source.signature)
        if data is not None:
            try:
                return Whole(name, data, source)
            except MalformedMessageError:  # An earlier version of shoal wrote it.
                pass
        try:
            data = encode(self._hashed(name, source))
        except UnreadableError:
            raise
        except OSError as error:
            if error.errno not in PASSING and error.filename:
                self._unreadable.note(error.filename, error)
            log.warning("%s cannot be read: %s", display(name), error.strerror)
            return None
        self._cache.remember(name, source.signature, data)
        return Whole(name, data, source)

    def _hashed(self, name: str, source: Source) -> Manifest:
        chunking = self._rules.of(name).chunking or DEFAULT_CHUNKING
        began = time.monotonic()
        try:
            return hash_source(source, self.progress.hashed, self._should_stop, chunking)
        finally:
            now = time.monotonic()
            self._cadence.hashed(name, now, now - began)

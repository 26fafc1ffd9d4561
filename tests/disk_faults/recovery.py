"""What a node or a tracker makes of what is on its disk: the real classes, as at a start."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.tracking.changes import Change
from shoal.node.files.signature import GoneError
from shoal.node.folder import leftovers
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.lock import FolderLock
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.watcher import Watcher
from shoal.node.folder.whole import Whole
from shoal.node.staging.remains import found
from shoal.protocol.errors import OperatorError


class Node:
    """A node that looks through its folder once, and tells nobody."""

    def __init__(self, folder: Path) -> None:
        state = folder / ".shoal"
        self.folder = folder
        self._lock = FolderLock.take(folder)
        self.rules = Rules(state)
        self.cache = Cache(state / "cache.db", "after the power came back")
        self.register = Register(self.cache, "n2")
        self.epoch = self.cache.next_epoch()
        self.inventory = Inventory(lambda _: None)
        known = self.cache, self.rules, self.register
        self._watcher = Watcher(folder, self.inventory, *known, lambda: None)

    def look(self) -> None:
        leftovers.sweep(self.folder)
        found(self.folder)
        self._watcher.look_through()

    def close(self) -> None:
        self._watcher.stop()
        self.cache.close()
        self._lock.release()


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Node]:
    """Start a node on a folder, and have it look; raises OperatorError if it refuses."""
    node = Node(folder)
    try:
        node.look()
        yield node
    finally:
        node.close()


def wrong_bytes(thing: Whole) -> list[int]:
    """Return the chunks that a node would send, and that are not what it says they are."""
    wrong = []
    for index in range(thing.chunk_count):
        with contextlib.suppress(GoneError):  # It would not send it.
            if blake3(thing.read(index)).digest() != thing.manifest.digest(index):
                wrong.append(index)
    return wrong


def loaded_log(path: Path) -> list[Change]:
    """Return what a tracker would know after a start, and have it save something."""
    store = SqliteStore(path)
    try:
        return list(store.load())
    finally:
        store.close()


def refusal(error: OperatorError) -> str:
    return f"it does not start: {error}"


logging.getLogger("shoal").addHandler(logging.NullHandler())

"""Where a download's bytes go: into staging, to others meanwhile, and to their name at the end.

Carries out what the download says of its disk; knows nothing of holders.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from node import steps
from node.hashing import Signature
from node.inventory import Inventory, PartialFile, WholeFile
from node.staging import Staging, disk_trouble
from protocol.errors import OperatorError
from protocol.names import display


class Destination(msgspec.Struct, frozen=True):
    """Where a thing is to lie: in a node's folder and inventory, or at `output` instead."""

    folder: Path
    inventory: Inventory
    remember: Callable[[str, Signature, bytes], None]
    output: Path | None = None


class Intake:
    """The bytes of one download, from `open` to `close`."""

    def __init__(self, to: Destination, on_asked: Callable[[str, bytes], None]) -> None:
        """`on_asked` is told, from another thread, who asks us for a chunk and what it has."""
        self._to = to
        self._on_asked = on_asked
        self.writing_s = 0.0  # So far, in calls that write.
        self._staging: Staging | None = None
        self._partial: PartialFile | None = None

    def open(self, action: steps.OpenStaging) -> steps.Event:
        """Make room, and have what is there already served.

        Raises:
            OperatorError: the same thing is being fetched by another order.
        """
        place = self._to.folder / ".shoal" / "partial"
        self._staging = Staging(place, action.id, action.manifest)
        partial = PartialFile(action.name, self._staging, self._on_asked)
        if not self._to.inventory.put_partial(partial):
            raise OperatorError(f"{display(action.name)} is being fetched already; wait for it")
        self._partial = partial
        try:
            partial.have = self._staging.open()
        except OSError as error:
            return self._failed(error)
        return steps.StagingOpened(partial.have)

    def store(self, index: int, payload: memoryview) -> steps.Event | None:
        """Write a chunk that was verified, and serve it from now on."""
        assert self._staging is not None
        assert self._partial is not None
        began = time.monotonic()
        try:
            self._staging.write(index, payload)
        except OSError as error:
            return self._failed(error)
        self.writing_s += time.monotonic() - began
        self._partial.have |= 1 << index
        return None

    def publish(self) -> steps.Event:
        """Give the whole thing its name."""
        assert self._staging is not None
        began = time.monotonic()
        try:
            if self._to.output is None:
                return steps.Published(self._publish(self._staging))
            self._staging.publish_at(self._to.output)
            return steps.Published(str(self._to.output))
        except OSError as error:
            return self._failed(error)
        finally:
            self.writing_s += time.monotonic() - began

    def close(self) -> None:
        """Let go of it; what is not whole stays for the next try."""
        if self._partial is not None:
            self._to.inventory.remove_partial(self._partial.id)
        if self._staging is not None:
            self._staging.close()

    def _publish(self, staging: Staging) -> str:
        assert self._partial is not None
        name, data = self._partial.name, self._partial.data
        signature = staging.publish(self._to.folder, name)
        path = self._to.folder / name
        self._to.remember(name, signature, data)
        self._to.inventory.put(WholeFile(path, name, data, signature))
        return str(path)

    def _failed(self, error: OSError) -> steps.DiskFailed:
        assert self._partial is not None
        folder = self._to.output.parent if self._to.output else self._to.folder
        return steps.DiskFailed(str(disk_trouble(error, self._partial.name, folder)))

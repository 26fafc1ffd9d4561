"""Which files lie in a node's folder, by the name they are shared under. Reads no bytes of them."""

import logging
import os
import stat
from pathlib import Path

from node.hashing import Signature
from protocol.manifest import MAX_SIZE_BYTES
from protocol.names import RESERVED_FOLDER, check_name, display

log = logging.getLogger("shoal.node")


class Folder:
    """A folder that is looked through again and again; says once what it leaves out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._left_out: set[str] = set()

    def files(self) -> dict[str, Signature]:
        """Return the files that can be shared, in subdirectories too, by name.

        Links to files are followed, links to directories are not: they may lead in circles.
        """
        found: dict[str, Signature] = {}
        waiting = [""]  # Not by recursion: directories may lie in each other a thousand deep.
        while waiting:
            prefix = waiting.pop()
            for entry in self._entries(prefix):
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{name}/")
                elif (signature := self._signature(entry, name)) is not None:
                    found[name] = signature
        return found

    def signature_of(self, name: str) -> Signature | None:
        """Return the signature of one file, None if there is no such file that can be shared."""
        try:
            status = (self.path / check_name(name)).stat()
        except (OSError, ValueError):
            return None
        can_be_shared = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_SIZE_BYTES
        return Signature.of(status) if can_be_shared else None

    def _entries(self, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(f"{self.path}/{prefix}") as entries:
                shared = [entry for entry in entries if prefix + entry.name != RESERVED_FOLDER]
        except OSError as error:
            self._leave_out(prefix or str(self.path), error.strerror or "cannot be read")
            return []
        return sorted(shared, key=lambda entry: entry.name)

    def _signature(self, entry: os.DirEntry[str], name: str) -> Signature | None:
        """Return the signature of a file, None if it is none or cannot be shared."""
        try:
            status = entry.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            check_name(name)
        except OSError as error:
            self._leave_out(name, error.strerror or "cannot be read")
        except ValueError as error:
            self._leave_out(name, f"its name {error}")
        else:
            if status.st_size <= MAX_SIZE_BYTES:
                return Signature.of(status)
            self._leave_out(name, f"it is larger than {MAX_SIZE_BYTES} bytes")
        return None

    def _leave_out(self, name: str, reason: str) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            log.warning("%s is not shared: %s", display(name), reason)

"""Which files lie in a node's folder, by the name they are shared under. Reads no bytes of them."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from node.hashing import Signature
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
        return dict(self._below(self.path, ""))

    def signature_of(self, name: str) -> Signature | None:
        """Return the signature of one file, None if there is no such file."""
        try:
            status = (self.path / name).stat()
        except OSError:
            return None
        return Signature.of(status) if stat.S_ISREG(status.st_mode) else None

    def _below(self, directory: Path, prefix: str) -> Iterator[tuple[str, Signature]]:
        try:
            entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
        except OSError as error:
            self._leave_out(prefix or str(directory), error.strerror or "cannot be read")
            return
        for entry in entries:
            name = prefix + entry.name
            if name == RESERVED_FOLDER:
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(directory / entry.name, f"{name}/")
                continue
            try:
                status = entry.stat()
                if stat.S_ISREG(status.st_mode):
                    yield check_name(name), Signature.of(status)
            except OSError as error:
                self._leave_out(name, error.strerror or "cannot be read")
            except ValueError as error:
                self._leave_out(name, f"its name {error}")

    def _leave_out(self, name: str, reason: str) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            log.warning("%s is not shared: %s", display(name), reason)

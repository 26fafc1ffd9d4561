"""What lies in a node's folder: files, and directories as trees, by the name they are shared under.

Reads no bytes of them.
"""

import logging
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from node.rules import DAMAGED, FORGOTTEN, Rules
from node.top_link import why_not_followed
from node.tree import look_through
from node.whole import FileSource, Signature, Source
from protocol.manifest import MAX_SIZE_BYTES
from protocol.names import RESERVED_FOLDER, check_name, display

log = logging.getLogger("shoal.node")


class Folder:
    """A folder that is looked through again and again; says once what it leaves out."""

    def __init__(self, path: Path, rules: Rules, should_stop: Callable[[], bool]) -> None:
        self.path = path
        self._rules = rules
        self._should_stop = should_stop
        self._left_out: set[str] = set()

    def things(self, but: Collection[str] = ()) -> dict[str, Source]:
        """Return what can be shared, by name: each file, each directory; links to files too.

        Links to directories are not followed: they may lead in circles. What is named in `but` is
        left out.

        Raises:
            GoneError: it was to stop.
        """
        try:
            names = sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            self._leave_out(str(self.path), error.strerror or "cannot be read")
            return {}
        found = {
            name: self._look_at(name)
            for name in names
            if name != RESERVED_FOLDER and name not in but
        }
        return {name: source for name, source in found.items() if source is not None}

    def source_of(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        """Return one thing, None if there is no such one that can be shared."""
        if "/" in name or name == RESERVED_FOLDER:
            return None
        return self._look_at(name, even_forgotten=even_forgotten)

    def _look_at(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        path = self.path / name
        try:
            check_name(name)
        except ValueError as error:
            self._leave_out(name, f"its name {error}")
            return None
        try:
            withheld = self._rules.of(name).withheld
            if withheld and not (even_forgotten and withheld in {FORGOTTEN, DAMAGED}):
                return None
            if path.is_dir() and not path.is_symlink():
                return self._tree(path)
            return self._file(path)
        except OSError as error:
            if path.is_symlink() or not isinstance(error, FileNotFoundError):
                self._leave_out(name, error.strerror or "cannot be read")
        except ValueError as error:
            self._leave_out(name, f"it {error}")
        return None

    def _tree(self, path: Path) -> Source:
        def leave_out(inside: str, reason: str) -> None:
            self._leave_out(f"{path.name}/{inside}", reason)

        selection = self._rules.of(path.name).selection
        return look_through(path, selection, leave_out, self._should_stop)

    def _file(self, path: Path) -> Source | None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > MAX_SIZE_BYTES:
            self._leave_out(path.name, f"it is larger than {MAX_SIZE_BYTES} bytes")
            return None
        reason = why_not_followed(path, status) if path.is_symlink() else None
        if reason is not None:
            self._leave_out(path.name, reason)
            return None
        return FileSource(path, Signature.of(status))

    def _leave_out(self, name: str, reason: str) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            log.warning("%s is not shared: %s", display(name), reason)

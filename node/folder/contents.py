"""What lies in a node's folder: files, and directories as trees, by the name they are shared under.

Reads no bytes of them.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable, Collection
from pathlib import Path

from shoal.node.files.raw_files import read_at
from shoal.node.files.signature import GoneError, Signature
from shoal.node.files.unreadable import Unreadable, why
from shoal.node.folder.rules import DAMAGED, FORGOTTEN, Rules
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.top_link import why_not_followed
from shoal.node.folder.tree import look_through
from shoal.protocol.errors import DiskError
from shoal.protocol.manifest import MAX_SIZE_BYTES
from shoal.protocol.names import RESERVED_FOLDER, check_name, display

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
MOST_LINES = 20  # For each directory: one may have a million links that lead out.

log = logging.getLogger("shoal.node")


class AwayError(DiskError):
    """The folder cannot be looked through: not mounted, or its disk fails. It is *not* empty."""

    def __init__(self, folder: Path, reason: str) -> None:
        message = f"{display(str(folder))} cannot be looked at: {reason}"
        remedy = "mount it, or mend it, and the node goes on"
        super().__init__(f"{message}; {remedy}")


class NotNowError(Exception):
    """A thing cannot be looked at just now, which does not mean that it is gone."""


class Folder:
    """A folder that is looked through again and again; says once what it leaves out."""

    def __init__(
        self,
        path: Path,
        rules: Rules,
        should_stop: Callable[[], bool],
        unreadable: Unreadable | None = None,
    ) -> None:
        """`unreadable` says which files need not be tried."""
        self.path = path
        self._unreadable = unreadable or Unreadable()
        self._reasons: dict[str, str] = {}  # Why a thing is not shared, as of the last look.
        self._rules = rules
        self._should_stop = should_stop
        self._left_out: set[str] = set()
        self._counts: dict[str, int] = {}  # What was left out of each directory unnamed.
        self._owner: bytes | None = None  # What stood in the lock's file at first.
        self.unreadable: set[str] = set()  # Names of what the last look could not look at.

    def things(self, but: Collection[str] = ()) -> dict[str, Source]:
        """Return what can be shared, by name: each file, each directory; links to files too.

        Links to directories are only followed if their rules say so. What is named in `but` is left
        out.

        Raises:
            AwayError: the folder itself cannot be looked at.
            GoneError: it was to stop.
        """
        self.require_there()
        try:
            names = sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            raise AwayError(self.path, error.strerror or str(error)) from None
        found: dict[str, Source] = {}
        unreadable: set[str] = set()
        for name in names:
            if name == RESERVED_FOLDER or name in but:
                continue
            try:
                source = self._look_at(name)
            except NotNowError:
                unreadable.add(name)
                continue
            if source is not None:
                found[name] = source
        self.unreadable = unreadable
        return found

    def require_there(self) -> None:
        """Raise AwayError if something else is at the folder's path than at the first look.

        An unmounted file system leaves an empty directory behind. It is told by its lock's file,
        which bears its owner's number: the device's number changes when some are mounted again.
        """
        try:
            owner = read_at(os.fsencode(self.path / RESERVED_FOLDER / "lock"), 0, 20)
        except (FileNotFoundError, NotADirectoryError):
            owner = None
        except OSError as error:
            raise AwayError(self.path, error.strerror or str(error)) from None
        if self._owner is None:
            self._owner = owner
        elif self._owner != owner:
            raise AwayError(self.path, f"its {RESERVED_FOLDER} is not there, so it is not mounted")

    def source_of(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        """Return one thing, None if there is no such one that can be shared.

        Raises:
            AwayError: the folder itself cannot be looked at.
            NotNowError: it is there, and cannot be looked at now.
        """
        self.require_there()
        if "/" in name or name == RESERVED_FOLDER:
            return None
        return self._look_at(name, even_forgotten=even_forgotten)

    def why_not(self, name: str) -> str | None:
        """Return why the thing of that name is not shared; None if it is, or that is not known."""
        return self._reasons.get(name)

    def _look_at(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        self._reasons.pop(name, None)
        try:
            return self._find(name, even_forgotten=even_forgotten)
        except OSError as error:
            if (self.path / name).is_symlink() or not isinstance(error, FileNotFoundError):
                self._leave_out(name, self._told(error, name))
            if error.errno not in _NOT_THERE:
                raise NotNowError(name) from None
        except ValueError as error:
            self._leave_out(name, f"it {error}")
        except GoneError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it is, all others are shared)
            self._leave_out(name, f"{type(error).__name__}: {error}")
        return None

    def _find(self, name: str, *, even_forgotten: bool) -> Source | None:
        try:
            check_name(name)
        except ValueError as error:
            self._leave_out(name, f"its name {error}")
            return None
        path, withheld = self.path / name, self._rules.of(name).withheld
        if withheld and not (even_forgotten and withheld in {FORGOTTEN, DAMAGED}):
            return None
        return self._thing(path)

    def _thing(self, path: Path) -> Source | None:
        if not path.is_dir():
            return self._file(path)
        if path.is_symlink() and not self._rules.of(path.name).follow_links:
            self._reasons[path.name] = "it is a link to a directory, which needs --follow-links"
            return None
        reason = why_not_followed(path, path.stat()) if path.is_symlink() else None
        if reason is not None:
            self._leave_out(path.name, reason)
            return None
        return self._tree(path)

    def _tree(self, path: Path) -> Source:
        tree = look_through(
            path,
            self._rules.of(path.name).selection,
            lambda _, __: None,
            self._should_stop,
            self._unreadable,
        )
        for inside, reason in tree.left_out.named[:MOST_LINES]:
            self._say(f"{path.name}/{inside}", reason)
        more = tree.left_out.count - MOST_LINES
        if more > 0 and self._counts.get(path.name) != more:
            log.warning("and %d more in %s are not shared", more, display(path.name))
        self._counts[path.name] = more
        return tree

    def _file(self, path: Path) -> Source | None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > MAX_SIZE_BYTES:
            self._leave_out(path.name, f"it is larger than {MAX_SIZE_BYTES} bytes")
            return None
        reason = why_not_followed(path, status) if path.is_symlink() else None
        reason = reason or self._why_not_read(path, status)
        if reason is not None:
            self._leave_out(path.name, reason)
            return None
        return FileSource(path, Signature.of(status))

    def _why_not_read(self, path: Path, status: os.stat_result) -> str | None:
        reason = self._unreadable.why_not(str(path), status)
        if reason is None and not os.access(path, os.R_OK, effective_ids=True):
            try:
                os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            except PermissionError as error:
                reason = why(error)
        return reason

    def _told(self, error: OSError, name: str) -> str:
        """Return what to say of something that could not be looked at: which it is, and why."""
        place = os.fsdecode(error.filename) if error.filename else ""
        inside = place.removeprefix(f"{self.path}/{name}").strip("/")
        return f"{display(inside)} in it cannot be read: {error.strerror}" if inside else why(error)

    def _leave_out(self, name: str, reason: str) -> None:
        self._reasons[name] = reason
        self._say(name, reason)

    def _say(self, name: str, reason: str) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            log.warning("%s is not shared: %s", display(name), reason)

"""What is in a node's folder: files, and directories as trees, by the names they are shared under.

Reads no bytes of them.
"""

import errno
import functools
import logging
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from shoal.node.files.directories import is_directory
from shoal.node.files.raw_files import read_at
from shoal.node.files.signature import GoneError, Signature
from shoal.node.files.unreadable import Unreadable, why
from shoal.node.folder.links import why_not_followed
from shoal.node.folder.rules import DAMAGED, FORGOTTEN, Rules
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import Tree, look_through
from shoal.node.folder.tree_update import Looking, look_again
from shoal.node.trees.selection import Selection
from shoal.protocol.errors import DiskError
from shoal.protocol.manifest import MAX_SIZE_BYTES
from shoal.protocol.names import RESERVED_FOLDER, check_name, display

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}
MOST_LINES = 20  # For each directory: one may have a million links that lead out.

log = logging.getLogger("shoal.node")


class AwayError(DiskError):
    """The folder cannot be read: not mounted, or its disk fails. It does *not* count as empty."""

    def __init__(self, folder: Path, reason: str) -> None:
        message = f"{display(str(folder))} cannot be looked at: {reason}"
        remedy = "mount or repair it; the node continues by itself"
        super().__init__(f"{message}; {remedy}")


class NotNowError(Exception):
    """A thing cannot be read just now, which does not mean that it is gone."""


class Look(NamedTuple):
    """What was found in a folder."""

    names: list[str]  # That were looked at.
    found: dict[str, Source]
    unreadable: set[str]  # Could not be read just now, and may be there.


class Folder:
    """A folder that is scanned again and again; logs once what it leaves out."""

    def __init__(
        self,
        path: Path,
        rules: Rules,
        should_stop: Callable[[], bool],
        unreadable: Unreadable | None = None,
    ) -> None:
        """`unreadable` says which files need not be tried."""
        self.path = path
        self.links_at: Path | None = None  # Where links are, if the folder is only read.
        self._device: int | None = None
        self._unreadable = unreadable or Unreadable()
        self._reasons: dict[str, str] = {}  # Why a thing is not shared, as of the last look.
        self._rules = rules
        self._should_stop = should_stop
        self._left_out: set[str] = set()
        self._counts: dict[str, int] = {}  # What was left out of each directory unnamed.
        self._owner: bytes | None = None  # What was in the lock's file at first.
        self._trees: dict[str, tuple[Selection, Tree]] = {}  # As `look` has last found them.
        self._links: dict[str, set[str]] = {}  # By what they lead to in the folder itself.
        self.elsewhere: set[str] = set()  # What lies elsewhere: its changes are not reported.

    def look(self, but: Collection[str] = ()) -> Look:
        """Return what can be shared, by name: each file, each directory, and links to files.

        Links to directories are only followed if their rules say so. What is named in `but` is left
        out.

        Raises:
            AwayError: the folder itself cannot be looked at.
            GoneError: it was to stop.
        """
        self.require_there()
        try:
            names = sorted({path.name for path in self.path.iterdir()} | self._names_of_links())
        except OSError as error:
            raise AwayError(self.path, error.strerror or str(error)) from None
        self._trees.clear()
        self._links.clear()
        return self._look_at_all(name for name in names if name not in {RESERVED_FOLDER, *but})

    def place(self, name: str) -> Path:
        """Return where the thing of that name is, or would be."""
        link = None if self.links_at is None else self.links_at / name
        return link if link is not None and link.is_symlink() else self.path / name

    def with_links(self, names: Collection[str]) -> list[str]:
        """Return these names, and those of the links to them."""
        return sorted({*names}.union(*(self._links.get(name, ()) for name in names)))

    def look_again(self, changed: Mapping[str, Collection[str]]) -> Look:
        """Return what can be shared of some things, and of the links to them.

        Must be told of each change since the last look, by thing and path in it; the empty path
        means all of a thing. Only one thread may use this and `look`. Raises as that does.
        """
        self.require_there()
        return self._look_at_all(self.with_links(changed), changed)

    def _look_at_all(
        self, names: Iterable[str], changed: Mapping[str, Collection[str]] | None = None
    ) -> Look:
        look = Look([], {}, set())
        for name in names:
            look.names.append(name)
            selection, known = self._rules.of(name).selection, self._trees.pop(name, None)
            find = functools.partial(self._find, name)
            if changed is not None and known is not None and known[0] == selection:
                find = functools.partial(self._update, name, known[1], changed.get(name, ("",)))
            try:
                source = self._look_at(name, find)
            except NotNowError:
                look.unreadable.add(name)
                continue
            if source is not None:
                look.found[name] = source
            if isinstance(source, Tree):
                self._trees[name] = selection, source
        return look

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
        if self._owner is None and owner is None:
            self._require_same_device()
        elif self._owner is None:
            self._owner = owner
        elif self._owner != owner:
            raise AwayError(self.path, f"its {RESERVED_FOLDER} is not there, so it is not mounted")

    def _require_same_device(self) -> None:
        """Raise AwayError if the file system of a folder without our state is not mounted."""
        try:
            device = self.path.stat().st_dev
            is_other = self._device not in {None, device}
            if is_other and not any(self.path.iterdir()):
                raise AwayError(self.path, "it is empty, and not the one that was mounted there")
        except OSError as error:
            raise AwayError(self.path, error.strerror or str(error)) from None
        self._device = device

    def _names_of_links(self) -> set[str]:
        if self.links_at is None:
            return set()
        return {path.name for path in self.links_at.iterdir() if path.is_symlink()}

    def source_of(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        """Return one thing, None if there is no such one that can be shared.

        Raises:
            AwayError: the folder itself cannot be looked at.
            NotNowError: it is there, and cannot be looked at now.
        """
        self.require_there()
        if "/" in name or name == RESERVED_FOLDER:
            return None
        find = functools.partial(self._find, name, even_forgotten=even_forgotten)
        return self._look_at(name, find)

    def why_not(self, name: str) -> str | None:
        """Return why the thing of that name is not shared; None if it is, or that is not known."""
        return self._reasons.get(name)

    def _look_at(self, name: str, find: Callable[[], Source | None]) -> Source | None:
        self._reasons.pop(name, None)
        try:
            return find()
        except OSError as error:
            if self.place(name).is_symlink() or not isinstance(error, FileNotFoundError):
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

    def _update(self, name: str, tree: Tree, changed: Collection[str]) -> Source | None:
        """Return the thing of that name; it was this tree, and only these paths have changed."""
        path, rule = self.place(name), self._rules.of(name)
        again = None
        is_known = self.links_at is None and "" not in changed and not rule.withheld
        if is_known and is_directory(str(path)):
            looking = Looking(rule.selection, self._should_stop, self._unreadable)
            again = look_again(tree, changed, looking) if changed else tree
        return self._find(name) if again is None else self._told_of(name, again)

    def _find(self, name: str, *, even_forgotten: bool = False) -> Source | None:
        try:
            check_name(name)
        except ValueError as error:
            self._leave_out(name, f"its name {error}")
            return None
        path, withheld = self.place(name), self._rules.of(name).withheld
        if withheld and not (even_forgotten and withheld in {FORGOTTEN, DAMAGED}):
            return None
        return self._thing(path)

    def _thing(self, path: Path) -> Source | None:
        rule = self._rules.of(path.name)
        self.elsewhere.discard(path.name)
        if not path.is_dir():
            return self._file(path)
        if path.is_symlink() and not rule.follow_links and not rule.linked:
            self._reasons[path.name] = "it is a link to a directory, which needs --link"
            return None
        if path.is_symlink() or rule.follow_links:
            self.elsewhere.add(path.name)
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
            is_outside=self.links_at is not None,
        )
        return self._told_of(path.name, tree)

    def _told_of(self, name: str, tree: Tree) -> Source:
        """Log what is left out of a tree, unless it was logged before."""
        for inside, reason in tree.left_out.named[:MOST_LINES]:
            self._say(f"{name}/{inside}", reason)
        more = tree.left_out.count - MOST_LINES
        if more > 0 and self._counts.get(name) != more:
            log.warning("and %d more in %s are not shared", more, display(name))
        self._counts[name] = more
        return tree

    def _file(self, path: Path) -> Source | None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > MAX_SIZE_BYTES:
            self._leave_out(path.name, f"it is larger than {MAX_SIZE_BYTES} bytes")
            return None
        reason = None
        if path.is_symlink():
            self._note_link(path)
            reason = why_not_followed(path, status)
        reason = reason or self._why_not_read(path, status)
        if reason is not None:
            self._leave_out(path.name, reason)
            return None
        is_outside = self.links_at is not None or path.name in self.elsewhere
        return FileSource(path, Signature.of(status, is_outside=is_outside))

    def _note_link(self, link: Path) -> None:
        """Note which thing of the folder a link leads to, if it does: both change together."""
        target, folder = link.resolve(), self.path.resolve()
        if target.is_relative_to(folder):
            thing = target.relative_to(folder).parts[0]
            self._links.setdefault(thing, set()).add(link.name)
        else:
            self.elsewhere.add(link.name)

    def _why_not_read(self, path: Path, status: os.stat_result) -> str | None:
        reason = self._unreadable.why_not(str(path), status)
        if reason is None and not os.access(path, os.R_OK, effective_ids=True):
            try:
                os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
            except PermissionError as error:
                reason = why(error)
        return reason

    def _told(self, error: OSError, name: str) -> str:
        """Return which part of a thing could not be read, and why, for people."""
        place = os.fsdecode(error.filename) if error.filename else ""
        inside = place.removeprefix(str(self.place(name))).strip("/")
        return f"{display(inside)} in it cannot be read: {error.strerror}" if inside else why(error)

    def _leave_out(self, name: str, reason: str) -> None:
        self._reasons[name] = reason
        self._say(name, reason)

    def _say(self, name: str, reason: str) -> None:
        if name not in self._left_out:
            self._left_out.add(name)
            log.warning("%s is not shared: %s", display(name), reason)

"""The contents of a directory as the entries of a listing, and what is left out of it.

Reads no file's bytes; only whether it could.
"""

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.node.files.directories import is_directory
from shoal.node.files.states import FileStates
from shoal.node.files.unreadable import PASSING, Unreadable, why
from shoal.node.folder.links import why_not_followed
from shoal.node.trees.left_out import LEADS_OUT, LeftOut
from shoal.node.trees.selection import Selection
from shoal.protocol import listing, manifest
from shoal.protocol.listing import Entry
from shoal.protocol.names import check_path

_ORDINARY = re.compile(r"[^\x00-\x1f\x7f-\x9f\\:\ud800-\udfff]{1,63}\Z")  # 255 bytes at most.
_ORDINARY_PATH = 1000  # Characters: 4096 bytes at most.

# Reasons for which a directory cannot be listed that will last. Others may pass, such as a server
# that does not answer: then the tree must not be taken for one without that directory.
_LASTING = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}


class Walk:
    """Collects the entries of a tree, in the order of a listing."""

    def __init__(
        self,
        root: str,
        selection: Selection,
        leave_out: Callable[[str, str], None],
        unreadable: Unreadable,
        *,
        is_outside: bool = False,
    ) -> None:
        self.entries: list[Entry] = []
        self.states = FileStates()
        self.left_out = LeftOut()
        self._follows_links = selection.follow_links
        self._is_outside = is_outside
        self._root = root
        self._chooses = selection.chooses
        self._excludes = selection.excludes
        self._tell = leave_out
        self._unreadable = unreadable
        self._path_characters = 0
        self._way_down: list[tuple[int, int]] = []  # Only where links are followed.

    def directories_in(self, directory: str) -> Iterator[str]:
        """Take in the files of one directory; yield the directories in it, each in its turn."""
        inside = self._inside(directory)
        if inside is None:
            return
        if directory and not inside and self._chooses(f"{directory}/"):
            self._add(Entry(directory, listing.FOLDER))
        before, left_before = len(self.entries), self.left_out.count
        for entry in inside:
            path = f"{directory}/{entry.name}" if directory else entry.name
            if self._is_to_enter(entry, path):
                yield path
        if directory and before == len(self.entries) and left_before < self.left_out.count:
            self._add(Entry(directory, listing.FOLDER))
        if self._follows_links:
            self._way_down.pop()

    def _is_to_enter(self, entry: os.DirEntry[str], path: str) -> bool:
        """Take in anything but a directory, if it is wanted; say whether it is a directory."""
        is_below = entry.is_dir(follow_symlinks=False)
        if not self._has_a_good_name(entry.name, path, is_directory=is_below):
            return False
        if is_below:
            return True
        if self._follows_links and entry.is_symlink():
            return self._may_enter(entry, path)
        if self._chooses(path):
            self._take_in(entry, path)
        return False

    def _inside(self, directory: str) -> "list[os.DirEntry[str]] | None":
        """Return the contents of a directory, by name; None if it cannot be listed."""
        place = f"{self._root}/{directory}"
        try:
            identity = _identity(place) if self._follows_links else None
            if identity is not None and identity in self._way_down:
                self._leave_out(directory, "it leads back to a directory above it")
                return None
            with os.scandir(place) as found:
                inside = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if not directory:
                raise
            if error.errno == errno.ENOENT or self._excludes(f"{directory}/"):
                return None  # It has gone just now, or is of no interest.
            if error.errno not in _LASTING:
                raise
            self._leave_out(directory, why(error))
            return None
        if identity is not None:
            self._way_down.append(identity)
        return inside

    def _add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self._path_characters += len(entry.path)
        if len(self.entries) > listing.MAX_ENTRIES:  # Links may make few directories many.
            raise ValueError(f"has more than {listing.MAX_ENTRIES} entries")
        if self._path_characters > manifest.MAX_LISTING_BYTES:
            raise ValueError(f"has paths of more than {manifest.MAX_LISTING_BYTES} bytes")

    def _leave_out(self, path: str, reason: str) -> None:
        self.left_out.add(path, reason)
        self._tell(path, reason)

    def _has_a_good_name(self, name: str, path: str, *, is_directory: bool) -> bool:
        if _ORDINARY.match(name) and len(path) < _ORDINARY_PATH:
            return True
        try:
            check_path(path)
        except ValueError as error:
            is_wanted = not self._excludes(f"{path}/") if is_directory else self._chooses(path)
            if is_wanted:
                self._leave_out(path, f"its name {error}")
            return False
        return True

    def _take_in(self, entry: os.DirEntry[str], path: str) -> None:
        with self._leaving_out(path):
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                self._take_in_file(entry, path, status)
            elif stat.S_ISLNK(status.st_mode):
                self._take_in_link(entry, path)
            else:
                self._leave_out(path, "it is neither a file, a directory nor a link")

    def _take_in_file(self, entry: os.DirEntry[str], path: str, status: os.stat_result) -> None:
        reason = self._unreadable.why_not(entry.path, status)
        if reason is None and not os.access(entry.path, os.R_OK, effective_ids=True):
            os.close(os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))  # It raises.
        if reason is not None:
            self._leave_out(path, reason)
            return
        is_executable = self.states.add(status, is_outside=self._is_outside)
        kind = listing.EXECUTABLE if is_executable else listing.FILE
        self._add(Entry(path, kind, status.st_size))

    def _take_in_link(self, entry: os.DirEntry[str], path: str) -> None:
        known = listing.respelled(path, os.readlink(entry.path))
        if known is not None and all(is_directory(f"{self._root}/{at}") for at in known.left):
            self._add(Entry(path, listing.LINK, target=known.target))
        else:
            self._leave_out(path, LEADS_OUT)

    def _may_enter(self, entry: os.DirEntry[str], path: str) -> bool:
        """Take in the target of a link unless it is a directory; say whether it is one."""
        is_wanted = self._chooses(path)
        with self._leaving_out(path, is_wanted=is_wanted):
            try:
                status = entry.stat()
            except FileNotFoundError:
                os.lstat(entry.path)  # Else the link itself has gone.
                if is_wanted:
                    self._leave_out(path, "it is a link that leads nowhere")
                return False
            reason = why_not_followed(Path(entry.path), status)
            if reason is None and stat.S_ISDIR(status.st_mode):
                return True
            if is_wanted:
                self._take_in_followed(entry, path, status, reason)
        return False

    def _take_in_followed(
        self, entry: os.DirEntry[str], path: str, status: os.stat_result, reason: str | None
    ) -> None:
        if reason is not None:
            self._leave_out(path, reason)
        elif stat.S_ISREG(status.st_mode):
            self._take_in_file(entry, path, status)
        else:
            self._leave_out(path, "it is a link to neither a file nor a directory")

    @contextlib.contextmanager
    def _leaving_out(self, path: str, *, is_wanted: bool = True) -> Iterator[None]:
        """Leave out what cannot be read, unless it has just gone."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in PASSING:
                raise
            if is_wanted:
                self._leave_out(path, why(error))


def _identity(place: str) -> tuple[int, int]:
    status = os.stat(place)
    return status.st_dev, status.st_ino

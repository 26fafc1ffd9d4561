"""A tree whose files appear in their directory one by one, each complete, while others come.

Nothing there that may be a user's only copy is replaced.
"""

import array
import contextlib
import errno
import filecmp
import functools
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from shoal.node.files.directories import Keeps, is_directory, missing, opened, others, sweep
from shoal.node.files.paths import parent_of
from shoal.node.files.placing import InTheWayError, MayGo, give_name, remove, take_out
from shoal.node.files.raw_files import set_mode
from shoal.node.files.states import FileStates
from shoal.node.folder.tree import Tree, everything_in
from shoal.node.staging.spare import NOTHING, Spare
from shoal.protocol.errors import OperatorError
from shoal.protocol.listing import Listing, checked
from shoal.protocol.names import MAX_NAME_BYTES, display


class TreeInPlace:
    """Which files of a tree are complete, and so are in their place: they are *out*."""

    _mode_of: Callable[[int], int]

    def __init__(
        self, folder: Path, name: str, spare: Spare = NOTHING, *, keeps_others: bool = False
    ) -> None:
        """Let them appear in the directory `name` of `folder`.

        Anything else there is removed if it is `spare`. Otherwise it is in the way, unless it has a
        name that nothing in the tree has and `keeps_others` lets it stay.
        """
        self._folder = folder
        self._name = name
        self._spare = spare
        self._keeps_others = keeps_others
        self._aside = b""
        self._root = os.fsencode(folder / name) + b"/"
        self._is_out = bytearray()
        self._left = array.array("Q")  # Bytes of each file that are not there yet.
        self._states = FileStates()  # Of each that is out, while it was right.
        self._before = FileStates()  # The same, of those that were out before the last `begin`.
        self._to_chmod: list[tuple[int, bytes]] = []
        self.guard = threading.RLock()  # While a file is moved, another may be where it was.

    def begin(
        self,
        files: Iterable[tuple[int, bytes]],
        listing: Listing,
        mode_of: Callable[[int], int],
        aside: bytes = b"",
    ) -> None:
        """See which of the `files`, by number and path, are there with the right size.

        Their bytes may be wrong: then `take_back` them. `mode_of` gives the mode of a file; `aside`
        is a path, on the same file system, for what is removed.

        Raises:
            OperatorError: something else is in the way.
        """
        self._is_out = bytearray(len(listing.sizes))
        self._left = array.array("Q", listing.sizes)
        self._before, known = self._states, listing.are_executable()
        self._states = FileStates(listing.sizes, known)
        self._mode_of = mode_of
        self._aside = aside
        is_there = {b"": is_directory(self._root[:-1])}  # Directories, and not through links.
        for file, path in files:
            above = path.rpartition(b"/")[0]
            for one in missing(above, is_there):
                is_in = is_there[one.rpartition(b"/")[0]]
                is_there[one] = is_in and is_directory(self._root + one)
            if is_there[above]:
                self._look_at(file, path)

    def is_out(self, file: int) -> bool:
        with self.guard:  # Not while it is being moved.
            return bool(self._is_out[file])

    def place(self, path: bytes) -> bytes:
        """Return the path of a file that is out."""
        return self._root + path

    def take_back(self, files: Iterable[int]) -> set[int]:
        """Note that these are wrong; return those that were taken for right."""
        wrong = {file for file in files if self._is_out[file]}
        for file in wrong:
            self._is_out[file] = 0
            self._states.forget(file)
        return wrong

    def came(self, file: int, size_bytes: int) -> bool:
        """Note that so many bytes of a file are there; return whether it is complete now."""
        with self.guard:
            self._left[file] -= size_bytes
            return self._left[file] == 0

    def put_out(
        self, file: int | None, path: bytes, made: bytes, *, is_ready: bool = False
    ) -> None:
        """Move a complete file, or a link, from `made` to its place.

        If it `is_ready` it has its mode and is durable already.

        Raises:
            OperatorError: something is in the way.
            OSError: the disk refused.
        """
        if file is not None and not is_ready:
            set_mode(made, self._mode_of(file), durably=True)
        with self._parent_of(path) as (directory, last), self.guard, self._hindering(path):
            if file is not None:
                self._states.note(file, os.lstat(made))
            is_replaced = give_name(made, directory, last, self._may_go_for(file, path, made))
            if file is not None:
                self._is_out[file] = 1
        if is_replaced:
            remove(made)

    def end(
        self,
        folders: Iterable[bytes],
        listing: Listing | None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the empty directories; remove what is not in `listing` (None: leave it).

        `check` is called again and again; it may raise an error.

        Raises:
            OperatorError: something else is there, and in the way.
            OSError: the disk refused.
        """
        with parent_of(self._folder, self._name) as (directory, last):
            with contextlib.suppress(FileExistsError):
                os.mkdir(last, dir_fd=directory)
            with opened(last, directory) as root:
                if listing is not None and not self._keeps_others:
                    self._clear_out(root, listing, check)
        for path in folders:
            self._make_folder(path)
        for file, path in checked(self._to_chmod, check):
            with self._parent_of(path) as (directory, last):
                set_mode(last, self._mode_of(file), directory, durably=False)

    def tree(self, listing_data: bytes, listing: Listing) -> Tree:
        """Return the tree as it appeared; files changed since then are not taken for right."""
        root = self._folder / self._name
        if not self._keeps_others:  # Nothing else is there.
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                for file in range(len(listing.sizes)):
                    os.lstat(self._root + listing.file_path(file))
                return Tree.made(root, listing_data, listing, self._states)
        return everything_in(root)

    def _look_at(self, file: int, path: bytes) -> None:
        try:
            status = os.lstat(self._root + path)
        except OSError:
            return
        if not stat.S_ISREG(status.st_mode) or status.st_size != self._left[file]:
            if not self._spare.allows(path, self._root + path):
                raise self._in_the_way(path)
            return
        self._is_out[file] = 1
        self._states.note(file, status)
        if (status.st_mode ^ self._mode_of(file)) & stat.S_IXUSR:
            self._to_chmod.append((file, path))

    def _make_folder(self, path: bytes) -> None:
        with self._parent_of(path) as (directory, last):
            try:
                os.mkdir(last, dir_fd=directory)
            except FileExistsError:
                if not is_directory(last, directory):
                    self._take_out(directory, last, path)
                    os.mkdir(last, dir_fd=directory)

    def _parent_of(self, path: bytes) -> contextlib.AbstractContextManager[tuple[int, str]]:
        name = f"{self._name}/{path.decode()}"
        if len(name.encode()) > MAX_NAME_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return parent_of(self._folder, name, replaces_links=True, clear=self._clear)

    def _clear(self, directory: int, last: str, name: str) -> None:
        """Put a directory of the tree in place of a file or a link, if that may go."""
        path = name.encode().removeprefix(f"{self._name}/".encode())
        if len(path) < len(name.encode()):
            with contextlib.suppress(InTheWayError):
                take_out(directory, last, self._aside, functools.partial(self._spare.allows, path))
                os.mkdir(last, dir_fd=directory)

    def _clear_out(self, root: int, listing: Listing, check: Callable[[], None]) -> None:
        """Remove everything that is not in the tree, if all of that may go."""
        known = set(listing.paths)
        for path in checked(listing.empty_folders(), check):  # An earlier try may have made more.
            known.update(missing(path.rpartition(b"/")[0], known))
        strangers = list(checked(others(self._root, known), check))
        for path in checked(strangers, check):
            if not self._spare.allows(path, self._root + path):
                raise self._in_the_way(path)
        if self._spare.is_anything:
            sweep(root, _belongs(listing), check)
        elif not self._spare.is_nothing:
            for path in checked(strangers, check):
                with self._parent_of(path) as (directory, last):
                    self._take_out(directory, last, path)
            sweep(root, lambda _, __: True, check)  # Directories that are empty now.

    def _take_out(self, directory: int, last: str, path: bytes) -> None:
        with self._hindering(path):
            take_out(directory, last, self._aside, functools.partial(self._spare.allows, path))

    def _may_go_for(self, file: int | None, path: bytes, made: bytes) -> MayGo:
        """Return a function that says whether what is in the place of `made` may go."""

        def may_go(at: bytes) -> bool:
            if self._spare.allows(path, at) or (file is not None and self._has_rotted(file, at)):
                return True
            return not _is_another(at, self._root + path if at == made else made)

        return may_go

    def _has_rotted(self, file: int, at: bytes) -> bool:
        """Return whether the file has the same state as when it was out, and right."""
        if file >= len(self._before.sizes) or not self._before.is_noted(file):
            return False
        with contextlib.suppress(OSError):
            return self._before.fits(file)(os.lstat(at))
        return False

    @contextlib.contextmanager
    def _hindering(self, path: bytes) -> Iterator[None]:
        try:
            yield
        except InTheWayError:
            raise self._in_the_way(path) from None

    def _in_the_way(self, path: bytes) -> OperatorError:
        place = display(f"{self._name}/{path.decode(errors='replace')}")
        message = f"{self._folder} already has a different {place}, which may be the only copy"
        return OperatorError(f"{message}; move it and run it again, or pass --force")


def _is_another(there: bytes, made: bytes) -> bool:
    """Return whether anything other than what was made is there."""
    if not os.path.lexists(there):
        return False
    if os.path.islink(there) or os.path.islink(made):
        is_same = os.path.islink(there) and os.path.islink(made)
        return not is_same or os.readlink(there) != os.readlink(made)
    return not os.path.isfile(there) or not filecmp.cmp(there, made, shallow=False)


def _belongs(listing: Listing) -> Keeps:
    files = {listing.file_path(file) for file in range(len(listing.sizes))}
    links = {path for path, _ in listing.links()}
    return lambda path, entry: path in (links if entry.is_symlink() else files)

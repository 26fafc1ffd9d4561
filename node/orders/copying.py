"""Copies a file or a directory into a node's folder, where it appears whole or not at all."""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shoal.node.files.directories import make
from shoal.node.files.durable import FileSystem
from shoal.node.files.holes import copy_bytes
from shoal.node.files.placing import InTheWayError, put_in_place, remove
from shoal.node.files.raw_files import keep_owner_mode
from shoal.node.files.unreadable import CannotReadError, reading, why
from shoal.node.folder import leftovers
from shoal.node.folder.tree import look_through
from shoal.node.trees.left_out import LeftOut
from shoal.node.trees.selection import Selection
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display

_AT_A_TIME = 256  # Files for one thread: each is done soon.
_COMPARE_BYTES = 1 << 20


def copy_into(
    path: Path,
    folder: Path,
    name: str,
    selection: Selection,
    on_copied: Callable[[int], None],
    *,
    is_forced: bool = False,
) -> LeftOut:
    """Copy `path` to `name` in `folder`; return what of a directory was left out.

    Args:
        path: a file or a directory.
        folder: a node's folder.
        name: a checked name.
        selection: what of a directory. Links are copied as links if they are not followed.
        on_copied: called with numbers of bytes, from several threads.
        is_forced: replace what is there.

    Raises:
        OperatorError: something is there, perhaps only since the copy was begun.
        CannotReadError: it cannot be read.
        OSError: the disk refused.
        ValueError: there is too much in the directory.
    """
    aside = leftovers.incoming(folder)
    remove(aside)  # A process of the same number may have died here.
    try:
        with contextlib.closing(FileSystem.of(aside.parent)) as disk:
            left_out = _copy(path, aside, selection, on_copied)
            disk.sync()
        put_in_place(aside, folder, name, lambda _: is_forced)
    except InTheWayError:
        message = (
            f"{folder} already has a different {display(name)} that appeared while it was copied"
        )
        raise OperatorError(f"{message}; move it, or pass --force to replace it") from None
    finally:
        remove(aside)
    return left_out


def same(path: Path, other: Path, selection: Selection, check: Callable[[], None]) -> bool:
    """Return whether two files or directories have the same content, as far as it is shared.

    `check` is called now and then; it may raise.
    """
    if path.is_file() or other.is_file():
        return path.is_file() and _same_mode(path, other) and _same_bytes(path, other, check)
    one = look_through(path, selection, lambda _, __: None, lambda: False)
    two = look_through(other, selection, lambda _, __: None, lambda: False)
    return list(one.entries()) == list(two.entries()) and all(
        _same_bytes(path / inside, other / inside, check) for inside in one.file_paths()
    )


def _same_mode(one: Path, two: Path) -> bool:
    return not (one.stat().st_mode ^ two.stat().st_mode) & stat.S_IXUSR


def _same_bytes(one: Path, two: Path, check: Callable[[], None]) -> bool:
    """Return whether two files have the same bytes, reading no more than needed."""
    if not two.is_file() or one.stat().st_size != two.stat().st_size:
        return False
    with one.open("rb") as first, two.open("rb") as second:
        while block := first.read(_COMPARE_BYTES):
            check()
            if block != second.read(_COMPARE_BYTES):
                return False
    return True


def _copy(
    path: Path, aside: Path, selection: Selection, on_copied: Callable[[int], None]
) -> LeftOut:
    if path.is_dir():
        return _TreeCopy(path, aside, on_copied).run(selection)
    _copy_file(str(path), str(aside), on_copied)
    return LeftOut()


class _TreeCopy:
    """A directory that is copied with all cores. Unreadable files are left out."""

    def __init__(self, path: Path, aside: Path, on_copied: Callable[[int], None]) -> None:
        self._path = path
        self._aside = aside
        self._on_copied = on_copied
        self._left_out = LeftOut()
        self._too_long: set[str] = set()
        self._guard = threading.Lock()

    def run(self, selection: Selection) -> LeftOut:
        tree = look_through(self._path, selection, lambda _, __: None, lambda: False)
        self._left_out = tree.left_out
        self._aside.mkdir()
        root, made = os.fsencode(self._aside) + b"/", {b""}
        for entry in tree.entries():
            directory = entry.path if entry.kind == "d" else entry.path.rpartition("/")[0]
            with self._fitting(entry.path):
                make(root, directory.encode(), made)
                if entry.kind == "l":
                    (self._aside / entry.path).symlink_to(entry.target)
        with ThreadPoolExecutor(os.cpu_count() or 1, "copy") as pool:
            paths = tree.file_paths()
            starts = range(0, len(paths), _AT_A_TIME)
            blocks = (paths[start : start + _AT_A_TIME] for start in starts)
            for _ in pool.map(self._copy, blocks):
                pass
        return self._left_out

    def _copy(self, some: list[str]) -> None:
        for inside in some:
            if inside in self._too_long:
                continue
            target = f"{self._aside}/{inside}"
            try:
                with self._fitting(inside):
                    _copy_file(f"{self._path}/{inside}", target, self._on_copied)
            except CannotReadError as error:
                remove(target)
                self._leave_out(inside, why(error))

    @contextlib.contextmanager
    def _fitting(self, inside: str) -> Iterator[None]:
        """Leave out anything whose path is too long at the target."""
        try:
            yield
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            self._too_long.add(inside)
            self._leave_out(inside, "its path is too long for the node's folder")

    def _leave_out(self, inside: str, reason: str) -> None:
        with self._guard:
            self._left_out.add(inside, reason)


def _copy_file(path: str, target: str, on_copied: Callable[[int], None]) -> None:
    with reading():
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # It may be a FIFO now.
    try:
        status = os.fstat(source)
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            keep_owner_mode(copy, mode)
            copy_bytes(source, copy, status.st_size, on_copied)
        finally:
            os.close(copy)
    finally:
        os.close(source)

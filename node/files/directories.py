"""Directories below an open one: found, made, swept. However deep, and never through a link.

Not with os.walk, os.makedirs and shutil.rmtree: those call themselves for each level, and a tree
may be two thousand deep.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

Keeps = Callable[[bytes, "os.DirEntry[str]"], bool]

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def opened(path: str | bytes | os.PathLike[str], above: int | None = None) -> Iterator[int]:
    """Give a descriptor of the directory at `path`, which counts from the directory `above`.

    Raises:
        OSError: there is no directory; a link to one does not count.
    """
    descriptor = os.open(path, _OPEN, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_directory(path: str | bytes, above: int | None = None) -> bool:
    """Say whether a directory is there; a link to one does not count."""
    try:
        return stat.S_ISDIR(os.lstat(path, dir_fd=above).st_mode)
    except OSError:
        return False


def make(
    root: bytes, path: bytes, made: set[bytes], check: Callable[[], None] = lambda: None
) -> None:
    """Make the directory `path` below `root`, which ends with a slash, and those above it.

    Those in `made` are known to be there; new ones are added. `check` is called before each, and
    may raise an error.

    Raises:
        OSError: something else is in the way, or the disk refused.
    """
    for directory in missing(path, made):
        check()
        try:
            os.mkdir(root + directory)
        except FileExistsError:
            with opened(root + directory):
                pass
        made.add(directory)


def missing(path: bytes, known: Container[bytes]) -> list[bytes]:
    """Return `path` and the directories above it, as far as they are not `known`, outermost first.

    All directories above a known one must be known too.
    """
    found: list[bytes] = []
    while path and path not in known:
        found.append(path)
        path = path.rpartition(b"/")[0]
    return found[::-1]


def others(root: bytes, known: Container[bytes]) -> Iterator[bytes]:
    """Yield the paths, relative to `root`, of all that is below it and not `known`.

    Of directories, only empty ones.
    """
    waiting = [b""]
    while waiting:  # Not by recursion: directories may be nested a thousand deep.
        directory = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(root + b"/" + directory) as entries:
            is_empty = True
            for entry in entries:
                is_empty = False
                path = directory + b"/" + entry.name if directory else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif path not in known:
                    yield path
            if is_empty and directory and directory not in known:
                yield directory


def sweep(directory: int, keeps: Keeps, check: Callable[[], None] = lambda: None) -> None:
    """Remove everything below `directory` but what `keeps` wants, and the directories above that.

    Args:
        directory: a descriptor.
        keeps: asked, with the path below `directory`, about everything but directories.
        check: called before each; may raise an error.

    Raises:
        OSError: something could not be removed; all else was, unless it was moved meanwhile.
    """
    troubles = _Sweep(directory, keeps, check).run()
    if troubles:
        raise troubles[0]


class _Level(NamedTuple):
    path: bytes  # Of a directory.
    identity: tuple[int, int]
    inside: list[bytes]  # The names of the directories in it that are not swept yet.


class _Sweep:
    """A walk down and up again that has one directory open at a time: there may be thousands."""

    def __init__(self, directory: int, keeps: Keeps, check: Callable[[], None]) -> None:
        self._keeps = keeps
        self._check = check
        self._here = os.dup(directory)
        self._levels: list[_Level] = []
        self._troubles: list[OSError] = []

    def run(self) -> list[OSError]:
        """Sweep; return the errors."""
        try:
            self._enter(b"")
            while self._levels[-1].inside or len(self._levels) > 1:
                self._check()
                if self._levels[-1].inside:
                    self._go_down(self._levels[-1].inside.pop())
                else:
                    self._go_up()
        finally:
            os.close(self._here)
        return self._troubles

    def _go_down(self, name: bytes) -> None:
        with self._noting():
            self._move_to(os.open(name, _OPEN, dir_fd=self._here))
            above = self._levels[-1].path
            self._enter(above + b"/" + name if above else name)

    def _go_up(self) -> None:
        name = self._levels.pop().path.rpartition(b"/")[2]
        self._move_to(os.open("..", _OPEN, dir_fd=self._here))
        if (
            _identity(self._here) != self._levels[-1].identity
        ):  # This directory was moved meanwhile.
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        with self._noting():
            os.rmdir(name, dir_fd=self._here)

    def _move_to(self, descriptor: int) -> None:
        os.close(self._here)
        self._here = descriptor

    def _enter(self, path: bytes) -> None:
        """Remove everything here but directories."""
        level = _Level(path, _identity(self._here), [])
        self._levels.append(level)
        with os.scandir(self._here) as entries:
            for entry in list(entries):
                self._check()
                name = os.fsencode(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    level.inside.append(name)
                elif not self._keeps(path + b"/" + name if path else name, entry):
                    with self._noting():
                        os.unlink(name, dir_fd=self._here)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note an error, unless a directory keeps something, or something has just gone."""
        try:
            yield
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
                self._troubles.append(error)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino

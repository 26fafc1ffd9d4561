"""Directories below an open one: found, made, swept. However deep, and never through a link.

Not with os.walk, os.makedirs and shutil.rmtree: those call themselves for each level, and a tree
may be two thousand deep.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Container, Iterator

Keeps = Callable[[bytes, "os.DirEntry[str]"], bool]

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def opened(path: str | bytes | os.PathLike[str], above: int | None = None) -> Iterator[int]:
    """Give a descriptor of the directory at `path`, which counts from the directory `above`.

    Raises:
        OSError: it is not there, or is none; a link is none.
    """
    descriptor = os.open(path, _OPEN, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make(root: bytes, path: bytes, made: set[bytes]) -> None:
    """Make the directory `path` below `root`, which ends with a slash, and those above it.

    What is in `made` is known to be there; what is made joins it.

    Raises:
        OSError: something that is no directory stands there, or the disk refused.
    """
    for directory in missing(path, made):
        try:
            os.mkdir(root + directory)
        except FileExistsError:
            with opened(root + directory):
                pass
        made.add(directory)


def missing(path: bytes, known: Container[bytes]) -> list[bytes]:
    """Return `path` and the directories above it, as far as they are not `known`, outermost first.

    What a known one lies in must be known too.
    """
    found: list[bytes] = []
    while path and path not in known:
        found.append(path)
        path = path.rpartition(b"/")[0]
    return found[::-1]


def sweep(directory: int, keeps: Keeps) -> None:
    """Remove all below `directory` but what `keeps` says so of, and what that lies in.

    Args:
        directory: a descriptor.
        keeps: asked with the path below `directory` of all that is no directory.

    Raises:
        OSError: something could not be removed; all else was.
    """
    troubles: list[OSError] = []
    found = [b""]
    for path in found:  # It grows.
        with _noting(troubles), _below(directory, path) as one:
            found += _swept(one, path, keeps, troubles)
    for path in reversed(found[1:]):
        above, _, last = path.rpartition(b"/")
        with _noting(troubles), _below(directory, above) as one:
            os.rmdir(last, dir_fd=one)
    if troubles:
        raise troubles[0]


def _swept(directory: int, path: bytes, keeps: Keeps, troubles: list[OSError]) -> list[bytes]:
    """Remove files from one directory; return the paths of those in it."""
    inside: list[bytes] = []
    with os.scandir(directory) as entries:
        for entry in list(entries):
            name = os.fsencode(entry.name)
            below = path + b"/" + name if path else name
            if entry.is_dir(follow_symlinks=False):
                inside.append(below)
            elif not keeps(below, entry):
                with _noting(troubles):
                    os.unlink(name, dir_fd=directory)
    return inside


@contextlib.contextmanager
def _noting(troubles: list[OSError]) -> Iterator[None]:
    """Note what could not be removed, but for directories in which something is kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.ENOENT}:
            troubles.append(error)


@contextlib.contextmanager
def _below(directory: int, path: bytes) -> Iterator[int]:
    """Open step by step, so that a link that is swapped in leads nowhere."""
    descriptor = os.dup(directory)
    try:
        for part in path.split(b"/") if path else ():
            below = os.open(part, _OPEN, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)

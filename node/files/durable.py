"""Makes bytes durable. If the disk refuses, what is in memory proves nothing any more.

Once Linux has failed to write a page, it takes it for written: the next fsync(2) succeeds, and
reading gives bytes that are not on the disk. So such pages are dropped: who verifies the file then
reads the disk.
"""

import contextlib
import os
from pathlib import Path
from typing import Self

from shoal.node.files import libc
from shoal.node.files.directories import others

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class FileSystem:
    """The file system that a directory is on, from `of` to `close`.

    It tells of each write that has failed since `of`. One that is opened later is not told of what
    somebody else has already been told of.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Open `directory`; raises OSError."""
        return cls(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def sync(self, *doubtful: Path) -> None:
        """Make everything on it durable.

        Raises:
            OSError: something could not be written. Of files below the `doubtful` directories,
                nothing is in memory any more.
        """
        try:
            libc.syncfs(self._descriptor)
        except OSError:
            for directory in doubtful:
                for path in others(os.fsencode(directory), ()):
                    _drop(os.fsencode(directory) + b"/" + path)
            raise

    def is_of(self, directory: Path) -> bool:
        """Return whether `directory` is the one that was opened; raises OSError if it is away."""
        return os.path.samestat(os.fstat(self._descriptor), directory.stat())

    def close(self) -> None:
        os.close(self._descriptor)


def sync_file(descriptor: int) -> None:
    """Make a file durable; raises OSError, and then nothing of it is in memory any more."""
    try:
        os.fsync(descriptor)
    except OSError:
        _forget(descriptor)
        raise


def _drop(path: bytes) -> None:
    with contextlib.suppress(OSError):  # It is no file, or has gone.
        descriptor = os.open(path, _OPEN)
        try:
            _forget(descriptor)
        finally:
            os.close(descriptor)


def _forget(descriptor: int) -> None:
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

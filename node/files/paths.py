"""From a checked name to a place on the disk that is certainly in the folder. Opens directories.

A name is walked part by part without following symbolic links, so that a link that was put or
swapped in cannot lead out of the folder .
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.node.files.directories import is_directory
from shoal.protocol.errors import DiskError
from shoal.protocol.names import check_name, display

Clear = Callable[[int, str, str], None]  # In which directory, what, and its path in the folder.

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def parent_of(
    folder: Path, name: str, *, replaces_links: bool = False, clear: Clear | None = None
) -> Iterator[tuple[int, str]]:
    """Give a descriptor of the directory that `name` is in, made if need be, and its last part.

    `clear` is to put a directory where a link or a file is on the way, but for the first part.

    Raises:
        OperatorError: a part of the way is a link or a file nevertheless, or the last part is
            neither a file nor a directory, nor, with `replaces_links`, a link.
        OSError: the disk refused.
    """
    *parents, last = check_name(name).split("/")
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for depth, part in enumerate(parents):
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=descriptor)
            if clear is not None and depth > 0 and not is_directory(part, descriptor):
                clear(descriptor, part, "/".join(parents[: depth + 1]))
            below = _open_directory(part, descriptor, folder, name)
            os.close(descriptor)
            descriptor = below
        if not (replaces_links and _is_link(last, descriptor)):
            _refuse_what_is_neither(last, descriptor, folder, name)
        yield descriptor, last
    finally:
        os.close(descriptor)


def _open_directory(part: str, descriptor: int, folder: Path, name: str) -> int:
    try:
        return os.open(part, _DIRECTORY, dir_fd=descriptor)
    except OSError as error:
        if not isinstance(error, NotADirectoryError) and error.errno != errno.ELOOP:
            raise
        message = f"cannot put {display(name)} into {folder}: {part} is not a directory"
        raise DiskError(f"{message}; move it") from None


def _is_link(last: str, descriptor: int) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(last, dir_fd=descriptor).st_mode)
    except FileNotFoundError:
        return False


def _refuse_what_is_neither(last: str, descriptor: int, folder: Path, name: str) -> None:
    try:
        status = os.stat(last, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        message = f"cannot put {display(name)} into {folder}"
        raise DiskError(f"{message}: what is there is neither a file nor a directory; move it")

"""Single reads and writes of files that are opened for them alone. Every failure is an OSError.

A link at the end of a path is never followed, and nothing that is no file is waited for.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from node.placing import remove

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_READ = os.O_RDONLY | _OPEN
_WRITE = os.O_WRONLY | os.O_CREAT | _OPEN

Write = Callable[[int, int, memoryview], None]  # To which descriptor, where, what.

_umask = os.umask(0o022)  # It can only be asked for by setting it.
os.umask(_umask)


def read_at(path: bytes, offset: int, size_bytes: int) -> bytes:
    """Return what stands there, less if the file is shorter."""
    descriptor = os.open(path, _READ)
    try:
        return os.pread(descriptor, size_bytes, offset)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, offset: int, data: memoryview) -> None:
    """Write all of `data` there."""
    while data:
        written = os.pwrite(descriptor, data, offset)
        offset, data = offset + written, data[written:]


def write_at(
    path: bytes,
    offset: int,
    data: memoryview,
    mode: int | None = None,
    write: Write = write_all,
) -> None:
    """Write all of `data` there, as `write` does it, and give the file a `mode` if one is named."""
    descriptor = os.open(path, _WRITE, 0o600)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        write(descriptor, offset, data)
    finally:
        os.close(descriptor)


def make_at(path: bytes, data: memoryview, mode: int) -> os.stat_result:
    """Make a file with these bytes and this mode, and return how it is then.

    If there is one already it keeps its mode, and what it has beyond. To give the mode as the file
    is made saves a call: a seventh of the time that a small file takes.
    """
    is_given = not mode & _umask
    descriptor = os.open(path, _WRITE, mode if is_given else 0o600)
    try:
        if not is_given:
            os.fchmod(descriptor, mode)
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def set_mode(path: bytes | str, mode: int, above: int | None = None, *, durably: bool) -> None:
    """Give the file at `path`, which counts from the directory `above`, a mode.

    With `durably`, see to it that no cut of power takes the mode or the bytes away.
    """
    descriptor = os.open(path, _READ, dir_fd=above)
    try:
        os.fchmod(descriptor, mode)
        if durably:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link(path: bytes, target: bytes) -> None:
    """Make a symbolic link, in place of what is there."""
    remove(path)
    os.symlink(target, path)


def claim(path: bytes) -> None:
    """Remove what is there, unless it is a file, and one that has no other name."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        remove(path)


def claim_directory(path: Path) -> bool:
    """Make a directory in place of what is there and is none; say whether it is a new one."""
    if path.is_dir() and not path.is_symlink():
        return False
    remove(path)
    path.mkdir(parents=True)
    return True

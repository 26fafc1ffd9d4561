"""Single reads and writes of files that are opened just for them. Every failure is an OSError.

Never follows a link at the end of a path, and never waits for anything but a regular file.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

from shoal.node.files.durable import sync_file
from shoal.node.files.placing import remove

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_READ = os.O_RDONLY | _OPEN
_LOOKS = 10
_NOT_A_FILE = {errno.ELOOP, errno.EISDIR, errno.ENXIO}  # A link, a directory, a FIFO or socket.

Write = Callable[[int, int, memoryview], None]  # To which descriptor, where, what.


def usual_mode(mode: int) -> int:
    """Return the mode of a new file that would have this one without a umask, as cp gives it.

    Its owner loses nothing by the umask: whether a file may be run is in the id of a thing, and
    fetched files must be readable to be shared. The umask is read anew each time.
    """
    return mode & ~(_umask() & 0o077)


def _umask() -> int:
    """Read it where that changes nothing: umask(2) could only set it, for all threads."""
    for line in read_at(b"/proc/self/status", 0, 8192).splitlines():
        if line.startswith(b"Umask:"):
            return int(line.split()[1], 8)
    return 0o077  # An old kernel: rather too little.


def keep_owner_mode(descriptor: int, mode: int) -> None:
    """Give the owner of a new file the rights in `mode` that an unusual umask took away."""
    if (os.fstat(descriptor).st_mode ^ mode) & 0o700:
        os.fchmod(descriptor, usual_mode(mode))


def read_at(path: bytes, offset: int, size_bytes: int) -> bytes:
    """Return the bytes there, fewer if the file is shorter."""
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


def open_own(path: bytes, flags: int, mode: int = 0o600) -> int:
    """Open a file of ours to write, made if need be.

    Whatever else has that name is removed: a link, a FIFO, a directory, and a file that has another
    name too (a hard link), as that may be somebody's file elsewhere.
    """
    for _ in range(_LOOKS):
        try:
            descriptor = os.open(path, flags | _OPEN)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # Another thread may have made it.
                return os.open(path, flags | os.O_CREAT | os.O_EXCL | _OPEN, mode)
            continue
        except OSError as error:
            if error.errno not in _NOT_A_FILE:
                raise
        else:
            if _is_ours_alone(os.fstat(descriptor)):
                return descriptor
            os.close(descriptor)
        remove(path)
    raise OSError(errno.EEXIST, "something else keeps appearing there", os.fsdecode(path))


def write_at(
    path: bytes,
    offset: int,
    data: memoryview,
    mode: int | None = None,
    write: Write = write_all,
) -> None:
    """Write all of `data` there, as `write` does it, and give the file a `mode` if one is named."""
    descriptor = open_own(path, os.O_WRONLY)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        write(descriptor, offset, data)
    finally:
        os.close(descriptor)


def make_at(path: bytes, data: memoryview, mode: int) -> os.stat_result:
    """Make a file with these bytes and this mode less the umask; return how it is then.

    Anything that has the name is removed. Giving the mode as the file is made saves a call: a
    seventh of the time that a small file takes.
    """
    descriptor = _make(path, mode)
    try:
        keep_owner_mode(descriptor, mode)
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _make(path: bytes, mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPEN
    try:
        return os.open(path, flags, mode)
    except FileExistsError:
        remove(path)
        return os.open(path, flags, mode)


def _is_ours_alone(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def set_mode(path: bytes | str, mode: int, above: int | None = None, *, durably: bool) -> None:
    """Give the file at `path`, which counts from the directory `above`, a mode.

    With `durably`, see to it that no cut of power takes the mode or the bytes away.
    """
    descriptor = os.open(path, _READ, dir_fd=above)
    try:
        os.fchmod(descriptor, mode)
        if durably:
            sync_file(descriptor)
    finally:
        os.close(descriptor)


def link(path: bytes, target: bytes) -> None:
    """Make a symbolic link, replacing what is there."""
    remove(path)
    os.symlink(target, path)


def claim(path: bytes) -> None:
    """Remove what is there, unless it is a regular file with no other name."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not _is_ours_alone(status):
        remove(path)


def claim_directory(path: Path, mode: int = 0o777) -> bool:
    """Make a directory, replacing anything else there; say whether it is a new one."""
    if path.is_dir() and not path.is_symlink():
        return False
    remove(path)
    path.mkdir(mode)
    return True


def claim_room(path: Path) -> None:
    """Make the directory `path` for partial files, in one that only its user may enter.

    A link instead of either is replaced, so that nothing is written through it.
    """
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    if not claim_directory(path.parent, 0o700):
        path.parent.chmod(0o700)
    claim_directory(path)

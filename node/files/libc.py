"""Four calls of Linux that Python's `os` lacks, each an OSError when it fails. Decides nothing."""

import ctypes
import errno
import os

AT_FDCWD = -100
RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
_KEEP_SIZE = 1
_PUNCH_HOLE = 2
_STATFS_LONGS = 32  # Twice a struct statfs, whose first long is the kind.

_libc = ctypes.CDLL(None, use_errno=True)


def renameat2(old_directory: int, old: bytes, directory: int, new: bytes, flags: int) -> None:
    """Rename by the system call of that name; ENOSYS if the C library does not have it."""
    try:
        call = _libc.renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    if call(old_directory, old, directory, new, flags) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(new))


def syncfs(descriptor: int) -> None:
    """Write everything on the file system of an open file to the disk."""
    if _libc.syncfs(descriptor) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def file_system_type(path: bytes) -> int:
    """Return the number of the kind of file system that a path is on, as statfs(2) has it."""
    found = (ctypes.c_long * _STATFS_LONGS)()
    if _libc.statfs(path, ctypes.byref(found)) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), os.fsdecode(path))
    return int(found[0]) & 0xFFFFFFFF


def punch_hole(descriptor: int, offset: int, size_bytes: int) -> None:
    """Make zeros of a part of a file, whose blocks are free then; its size stays."""
    where = ctypes.c_longlong(offset), ctypes.c_longlong(size_bytes)
    if _libc.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, *where) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

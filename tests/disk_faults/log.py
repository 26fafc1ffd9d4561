"""The changes that a process made to a disk, as shim.c has recorded them."""

import enum
import struct
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("=11q")


class Op(enum.IntEnum):
    """What was done, as in shim.c."""

    CREATE = 0
    MKDIR = 1
    SYMLINK = 2
    WRITE = 3
    TRUNCATE = 4
    ALLOCATE = 5
    PUNCH = 6
    FSYNC = 7
    SYNCFS = 8
    RENAME = 9
    LINK = 10
    UNLINK = 11
    RMDIR = 12
    CHMOD = 13
    UTIME = 14


class Change(NamedTuple):
    """One call that succeeded."""

    op: Op
    inode: int = 0  # Of the file or directory that was changed or made.
    directory: int = 0  # That it is in, …
    other_directory: int = 0  # … and, if it was renamed, that it is in now.
    offset: int = 0
    amount: int = 0  # Bytes, a mode, or the flags of a rename.
    mtime_ns: int = 0  # Of the file, afterwards.
    size_bytes: int = 0  # The same.
    name: str = ""
    other_name: str = ""
    data: bytes = b""


def recorded(path: Path, size_bytes: int | None = None) -> list[Change]:
    """Return what the log at `path` has, or its first bytes, in order."""
    data, changes = path.read_bytes()[:size_bytes], []
    at = 0
    while at < len(data):
        header = _HEADER.unpack_from(data, at)
        op, numbers, lengths = header[0], header[1:8], header[8:]
        at += _HEADER.size
        parts = []
        for length in lengths:
            parts.append(data[at : at + length])
            at += length
        texts = parts[0].decode(), parts[1].decode()
        changes.append(Change._make((Op(op), *numbers, *texts, parts[2])))
    return changes

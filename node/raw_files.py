"""Single reads and writes of files that are opened for them alone. Every failure is an OSError.

A link at the end of a path is never followed.
"""

import os
from pathlib import Path

from node.placing import remove

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def read_at(path: bytes, offset: int, size_bytes: int) -> bytes:
    """Return what stands there, less if the file is shorter."""
    descriptor = os.open(path, _READ)
    try:
        return os.pread(descriptor, size_bytes, offset)
    finally:
        os.close(descriptor)


def write_at(path: bytes, offset: int, data: memoryview, mode: int | None = None) -> None:
    """Write all of `data` there, and give the file a `mode` if one is named."""
    descriptor = os.open(path, _WRITE, 0o600)
    try:
        if mode is not None:
            os.fchmod(descriptor, mode)
        while data:
            written = os.pwrite(descriptor, data, offset)
            offset, data = offset + written, data[written:]
    finally:
        os.close(descriptor)


def link(path: bytes, target: bytes) -> None:
    """Make a symbolic link, in place of what is there, and the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    remove(Path(os.fsdecode(path)))  # An earlier try may have made it.
    os.symlink(target, path)

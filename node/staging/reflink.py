"""Verified bytes that are in another file already: both files may share blocks on the disk.

Knows nothing of chunks and digests. Bytes that the file system cannot share are written from
memory, so nothing is lost if it refuses, and a full disk is reported as usual.

Measured (docs/build/decisions/0012-shared-blocks.md): 1 GiB with a tenth new takes 104 MiB and a
third of the time on XFS and Btrfs. Elsewhere copy_file_range(2) is no faster than writing what is
in memory anyway, so local file systems are only asked to share, and network ones to copy.
"""

import contextlib
import errno
import fcntl
import functools
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from shoal.node.files.raw_files import Write, write_all
from shoal.node.folder.source import Source, Stretch

LEAST_BYTES = 64 << 10  # To share 16 KiB takes as long as to write them, and makes more extents.
BLOCK_BYTES = 4096  # Only whole blocks are shared; a file system with larger ones refuses.

_FICLONERANGE = 0x4020940D  # Linux, ioctl_ficlonerange(2).
_CANNOT = {errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS}  # Other errors may concern this file only.
_SERVED = {"nfs4", "cifs", "smb3", "ceph"}  # They copy without sending the bytes over the wire.

# Source, target, count, offset in the source, offset in the target: returns how many bytes it did.
_Way = Callable[[int, int, int, int, int], int]


class Origin(NamedTuple):
    """Where verified bytes were read: in `source`, from `offset` on."""

    source: Source
    offset: int

    def after(self, size_bytes: int) -> "Origin":
        return Origin(self.source, self.offset + size_bytes)


class Reflinks:
    """Shares blocks with files of one file system until that refuses."""

    def __init__(self) -> None:
        self._way: _Way | None = _clone

    def writer(self, origin: Origin | None) -> Write:
        """Return a function that writes bytes which were read at `origin`, None for any others."""
        if origin is None or self._way is None:
            return write_all
        return functools.partial(self._write, origin)

    def _write(self, origin: Origin, target: int, offset: int, data: memoryview) -> None:
        if len(data) < LEAST_BYTES:
            write_all(target, offset, data)
            return
        for stretch in origin.source.stretches(origin.offset, len(data)):
            part, data = data[: stretch.size_bytes], data[stretch.size_bytes :]
            start, end = self._share(stretch, target, offset)
            write_all(target, offset, part[:start])
            write_all(target, offset + end, part[end:])
            offset += len(part)

    def _share(self, stretch: Stretch, target: int, offset: int) -> tuple[int, int]:
        """Share as much of `stretch` as possible; return where that begins and ends."""
        way = self._way
        start = -offset % BLOCK_BYTES
        size_bytes = (stretch.size_bytes - start) // BLOCK_BYTES * BLOCK_BYTES
        is_aligned = (stretch.offset - offset) % BLOCK_BYTES == 0
        if way is None or not is_aligned or size_bytes < LEAST_BYTES:
            return 0, 0
        count = 0
        with contextlib.suppress(OSError):
            source = os.open(stretch.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if stretch.fits(os.fstat(source)):
                    count = way(source, target, size_bytes, stretch.offset + start, offset + start)
            except OSError as error:
                if error.errno in _CANNOT:
                    self._way = _next_way(way, target)
            finally:
                os.close(source)
        # It may have changed since it was verified: then memory has the right bytes.
        return (start, start + count) if count and _is_unchanged(stretch) else (0, 0)


def _is_unchanged(stretch: Stretch) -> bool:
    """Return whether the file is unchanged. Opened again, or NFS would not ask its server."""
    try:
        descriptor = os.open(stretch.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        return stretch.fits(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _clone(source: int, target: int, count: int, source_offset: int, offset: int) -> int:
    fcntl.ioctl(target, _FICLONERANGE, struct.pack("=qQQQ", source, source_offset, count, offset))
    return count


def _copy_on_the_server(
    source: int, target: int, count: int, source_offset: int, offset: int
) -> int:
    return os.copy_file_range(source, target, count, source_offset, offset)


def _next_way(way: _Way, target: int) -> _Way | None:
    return _copy_on_the_server if way is _clone and _kind(target) in _SERVED else None


def _kind(descriptor: int) -> str:
    """Return the kind of the file system that a file is on, as proc(5) calls it."""
    device = os.fstat(descriptor).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
            mount, _, system = line.partition(" - ")
            if mount.split()[2] == number:
                return system.split()[0]
    return ""

"""Zeros that take no blocks of the disk: made, and kept when a file is copied.

Where a file system has no holes, they are written as any other bytes.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

from shoal.node.files import libc
from shoal.node.files.raw_files import write_all
from shoal.node.files.signature import Fits, GoneError
from shoal.node.files.unreadable import reading

_BLOCK_BYTES = 64 << 20
_STAT_BLOCK_BYTES = 512  # Whatever a file system's own are.
_SMALL_BYTES = 1 << 20  # Smaller files are copied by hand: the kernel is no quicker.
_BY_HAND_BYTES = 1 << 20


def write_hole(descriptor: int, offset: int, zeros: memoryview) -> None:
    """Write `zeros` (a raw_files.Write) without taking room for them.

    Nobody else may make the file longer meanwhile.

    Raises:
        OSError: the disk refused.
    """
    end = offset + len(zeros)
    if os.fstat(descriptor).st_size < end:
        os.ftruncate(descriptor, end)
    if next(stretches(descriptor, offset, end), None) is None:
        return
    try:
        libc.punch_hole(descriptor, offset, len(zeros))
    except OSError:  # It cannot do that, or is in trouble, of which writing will tell.
        write_all(descriptor, offset, zeros)


def give_back(descriptor: int, size_bytes: int) -> None:
    """Free the blocks that were allocated and never written, as far as that can be done."""
    position = 0
    with contextlib.suppress(OSError):
        for start, end in (*stretches(descriptor, 0, size_bytes), (size_bytes, size_bytes)):
            if start > position:
                libc.punch_hole(descriptor, position, start - position)
            position = end


def stretches(descriptor: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield from where to where a file has data between two offsets; the rest are holes."""
    while start < end:
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # It does not say.
                yield start, end
            return  # Nothing but a hole up to the end.
        if start >= end:
            return
        until = min(end, os.lseek(descriptor, start, os.SEEK_HOLE))
        yield start, until
        start = until


def is_hole(path: str, fits: Fits, offset: int, size_bytes: int) -> bool:
    """Return whether a part of a file is a hole, so that it need not be read.

    Raises:
        GoneError: the file is not as it was: its status does not fit.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if status.st_blocks * _STAT_BLOCK_BYTES >= status.st_size:
            return False
        is_empty = next(stretches(descriptor, offset, offset + size_bytes), None) is None
        if not fits(status) or not fits(os.fstat(descriptor)):
            raise GoneError(f"{path} changed after it was looked at")
        return is_empty
    finally:
        os.close(descriptor)


def copy_bytes(source: int, copy: int, size_bytes: int, on_copied: Callable[[int], None]) -> None:
    """Copy a file of this size into a new one, holes as holes.

    Large files are copied within the kernel, where it can: a file system may share the bytes.
    `on_copied` is called with numbers of bytes, those of holes too.

    Raises:
        CannotReadError: it cannot be read.
        OSError: the disk refused.
    """
    done_bytes = 0
    for start, end in stretches(source, 0, size_bytes):
        if start > done_bytes:
            on_copied(start - done_bytes)
        _copy_stretch(source, copy, start, end, on_copied)
        done_bytes = end
    size_bytes = min(size_bytes, os.fstat(source).st_size)
    if done_bytes < size_bytes:
        on_copied(size_bytes - done_bytes)
        os.ftruncate(copy, size_bytes)
    while block := _read(source, _BY_HAND_BYTES, size_bytes):  # It grows, or hides its size.
        write_all(copy, size_bytes, memoryview(block))
        size_bytes += len(block)
        on_copied(len(block))


def _copy_stretch(
    source: int, copy: int, start: int, end: int, on_copied: Callable[[int], None]
) -> None:
    is_in_kernel = end - start > _SMALL_BYTES
    while is_in_kernel and start < end:
        count = 0
        with contextlib.suppress(OSError):  # Not between these two file systems: by hand.
            length = min(_BLOCK_BYTES, end - start)
            count = os.copy_file_range(source, copy, length, start, start)
        is_in_kernel = count > 0
        start += count
        on_copied(count)
    while start < end and (block := _read(source, min(_BY_HAND_BYTES, end - start), start)):
        write_all(copy, start, memoryview(block))
        start += len(block)
        on_copied(len(block))


def _read(source: int, size_bytes: int, offset: int) -> bytes:
    with reading():
        return os.pread(source, size_bytes, offset)

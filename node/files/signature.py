"""How to tell that a file has not changed, and reads that fail if it has.

Bytes are read with `pread` between two looks at the file's signature, so that nothing is sent of a
file that has changed since it was hashed, even if its time is set back afterwards; no mmap, which a
truncation would turn into a crash.
"""

import os
import stat
from collections.abc import Callable

import msgspec
from shoal.protocol import manifest

LARGE_BYTES = 128 << 10  # From this size on, the next bytes are likely to be requested next …
AHEAD_CHUNKS = (
    4  # … so the kernel is told to read ahead, and serving need not wait. Where all is in
)
AHEAD_BYTES = 8 << 20  # memory, that costs 3 us for each MiB; beyond this it gains nothing.

TIME_BITS = (1 << 64) - 1  # Of nanoseconds: times before 1970, and after 2554, fit modulo this.

Fits = Callable[[os.stat_result], bool]

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class GoneError(Exception):
    """The bytes have changed, or have gone."""


class Signature(msgspec.Struct, frozen=True, gc=False):
    """While it is the same, a thing's bytes are taken to be the same.

    A tree's time is that of its newest file, its inode is a digest of everything in it, and its
    ctime one of all ctimes. Only outside a node's folder ctimes count
    (docs/build/decisions/0035-identity.md); elsewhere they are 0.
    """

    size_bytes: int
    mtime_ns: int
    inode: int
    mode: int
    ctime_ns: int = 0
    device: int = 0

    @classmethod
    def of(cls, status: os.stat_result, *, is_outside: bool = False) -> "Signature":
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        mode = manifest.EXECUTABLE_MODE if is_executable else manifest.PLAIN_MODE
        ctime_ns = status.st_ctime_ns & TIME_BITS if is_outside else 0
        mtime_ns = status.st_mtime_ns & TIME_BITS
        return cls(status.st_size, mtime_ns, status.st_ino, mode, ctime_ns, status.st_dev)

    @property
    def text(self) -> str:
        """What a move does not change, as a text: a tree's digest is too long for JSON.

        The device is no part of it: a file system may have another number once it is mounted again.
        """
        return f"{self.size_bytes} {self.mtime_ns} {self.inode} {self.mode}"

    def fits(self, status: os.stat_result) -> bool:
        """Say whether it is that of a file with this status; quicker than to make another."""
        return (
            status.st_mtime_ns & TIME_BITS == self.mtime_ns
            and status.st_size == self.size_bytes
            and status.st_ino == self.inode
            and (not self.ctime_ns or status.st_ctime_ns & TIME_BITS == self.ctime_ns)
            and bool(status.st_mode & stat.S_IXUSR) == (self.mode == manifest.EXECUTABLE_MODE)
        )


def read_unchanged(path: str, fits: Fits, offset: int, size_bytes: int) -> bytes:
    """Return a part of a file that is as it was: its status `fits` before and after.

    Raises:
        GoneError: it is not.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, _READ)
    try:
        was_as_known = fits(os.fstat(descriptor))
        data = os.pread(descriptor, size_bytes, offset)
        if AHEAD_BYTES > size_bytes >= LARGE_BYTES:
            will_need = os.POSIX_FADV_WILLNEED
            ahead_bytes = min(AHEAD_CHUNKS * size_bytes, AHEAD_BYTES)
            os.posix_fadvise(descriptor, offset + size_bytes, ahead_bytes, will_need)
        is_as_known = was_as_known and fits(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if not is_as_known or len(data) != size_bytes:
        raise GoneError(f"{path} changed after it was looked at")
    return data


def read_unchanged_into(path: str, fits: Fits, offset: int, buffer: memoryview) -> None:
    """Fill `buffer` as `read_unchanged` reads: the same memory can be used again and again."""
    descriptor = os.open(path, _READ)
    try:
        was_as_known = fits(os.fstat(descriptor))
        count = os.preadv(descriptor, [buffer], offset)
        is_as_known = was_as_known and fits(os.fstat(descriptor))
    finally:
        os.close(descriptor)
    if not is_as_known or count != len(buffer):
        raise GoneError(f"{path} changed after it was looked at")

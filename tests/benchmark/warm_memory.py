"""Free memory that is quick to take: so that no transfer pays for the machine's, by chance.

A virtual machine gives free memory back to its host, in blocks of some MiB, and what it gets
anew is slow at the first touch: the same transfer then costs twice the processor time, or not,
by luck. So before the first round as much memory as one copy needs is touched, and freed again
but for a page here and there. What is in between is too small to be given back, and the kernel
hands out the smallest blocks first: every copy is written to the same warm memory.
"""

import ctypes
import os
from pathlib import Path

BLOCK_BYTES = 512 << 10  # Free page reporting takes blocks of 2 MiB and more.
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
WRITE_BYTES = 8 << 20
SPARE_BYTES = 512 << 20  # Beside the copy: for the processes and their sockets.
PUNCH_HOLE, KEEP_SIZE = 2, 1  # fallocate(2); Python has only posix_fallocate


def keep_warm(path: Path, size_bytes: int) -> None:
    """Leave `size_bytes` of warm memory free, for as long as the sparse file `path` is there.

    Only where that can be: on a RAM disk, under Linux. Elsewhere the file is merely written.
    """
    data = os.urandom(WRITE_BYTES)
    with path.open("wb") as file:
        for _ in range(0, size_bytes, WRITE_BYTES):
            file.write(data)
        file.flush()
        fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
        if fallocate is None:
            return
        fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        length = BLOCK_BYTES - PAGE_BYTES
        for offset in range(0, size_bytes, BLOCK_BYTES):
            fallocate(file.fileno(), PUNCH_HOLE | KEEP_SIZE, offset + PAGE_BYTES, length)

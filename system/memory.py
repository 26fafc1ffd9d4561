"""This process's memory: how much it has, and that it keeps a chunk's for the next one."""

import ctypes
import mmap
import sys

# glibc's mallopt parameters (malloc.h). By default each chunk's pages are returned to the kernel,
# and cleared and faulted in again for the next: 15 % of a transfer's processor time on loopback.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
KEPT_BYTES = 64 << 20  # What the process may keep while it is idle.
LARGEST_BLOCK_BYTES = 32 << 20  # The most that glibc accepts.


def keep_freed_memory() -> None:
    """Call once, before large transfers. Does nothing with another C library."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGEST_BLOCK_BYTES)
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_TOP_PAD, 1 << 20)


def return_freed_memory() -> None:
    """Return what was freed to the kernel; some ms. Does nothing with another C library."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def resident_bytes() -> int:
    """Return how much memory this process has in use; 0 where that cannot be known."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 (a third of the time)
            return int(statm.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0

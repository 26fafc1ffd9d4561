"""Makes the C library keep the memory of one chunk for the next. Allocates nothing itself."""

import ctypes
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

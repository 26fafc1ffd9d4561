"""How long nothing came over a link: counts the bytes that processes in a namespace exchanged."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.faults.background import Background

SAMPLE_S = 0.01
LEAST_BYTES = 16 << 10  # Less than this may be answers of the tracker, or acknowledgements.


def sent_bytes(pid: int) -> int:
    """Return what the host of a process has sent over its link, with headers."""
    for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines():
        device, _, numbers = line.partition(":")
        if device.strip() == "uplink":
            return int(numbers.split()[8])
    raise ValueError(f"process {pid} is on no host of a lab")


class Meter(Background):
    """Looks at a count of bytes from time to time, while its context lasts.

    The stall is the longest time in which nothing came, between the first bytes and the last.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        super().__init__()
        self.stall_s = 0.0
        self.arrived_bytes = 0
        self._count = count

    def __enter__(self) -> Self:
        self._first = self._marked = self._count()
        return super().__enter__()

    def run(self) -> None:
        marked_at: float | None = None
        while not self.is_over.wait(SAMPLE_S):
            count, now = self._count(), time.monotonic()
            if count - self._marked < LEAST_BYTES:
                continue
            if marked_at is not None:
                self.stall_s = max(self.stall_s, now - marked_at)
            self._marked, marked_at = count, now
            self.arrived_bytes = count - self._first

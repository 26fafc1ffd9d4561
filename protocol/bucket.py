"""How many bytes may pass in which time: a token bucket. Passes none itself, and never waits."""

import math

BURST_S = 0.05  # What was not used counts for so long: a thread may wake up late.


class Bucket:
    """Allows so many bytes/s. `now` is monotonic, in seconds.

    Something may begin to pass whenever all that has passed before is paid for, whatever its size:
    so the rate holds on average, and is exceeded by what passes in BURST_S and one such thing.
    """

    def __init__(self, rate: int | None = None) -> None:
        """`rate` is in bytes/s; None allows everything."""
        self._rate = rate
        self._paid_at = -math.inf

    @property
    def rate(self) -> int | None:
        return self._rate

    def set_rate(self, rate: int | None, now: float) -> None:
        """Allow another rate from now on; what has passed and is not paid for is paid at it.

        What was not used counts as the bytes that it was, no more.
        """
        before = self._rate
        if before is not None and rate is not None:
            ahead_s = max(self._paid_at - now, -BURST_S)
            self._paid_at = now + ahead_s * before / rate
        else:
            self._paid_at = -math.inf
        self._rate = rate

    def ready_at(self, now: float, ahead_bytes: int = 0) -> float:
        """When the next thing may pass, after so many bytes: now, if that has been."""
        if self._rate is None or not ahead_bytes:
            return self._paid_at
        return max(self._paid_at, now - BURST_S) + ahead_bytes / self._rate

    def take(self, size_bytes: int, now: float) -> None:
        """Note that so many bytes begin to pass."""
        if self._rate is not None:
            self._paid_at = self.ready_at(now, max(size_bytes, 1))

    def give_back(self, size_bytes: int) -> None:
        """Note that so many bytes have not passed after all."""
        if self._rate is not None:
            self._paid_at -= size_bytes / self._rate

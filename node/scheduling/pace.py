"""How quickly replies come, from all holders together. Judges none of them."""

import math

LONG_BYTES = 64 << 10  # Shorter replies take a round trip, and tell nothing of a link's rate.


class Pace:
    """`usual_s` is what replies with a chunk take of late; infinite before the first."""

    __slots__ = ("_least_s_per_byte", "usual_s")

    def __init__(self) -> None:
        self.usual_s = math.inf
        self._least_s_per_byte: float | None = None

    def delivered(self, size_bytes: int, took_s: float) -> bool:
        """Take in one reply; say whether that is the first, or the first long one."""
        is_first = self.usual_s == math.inf
        self.usual_s = took_s if is_first else self.usual_s + (took_s - self.usual_s) / 16
        if size_bytes < LONG_BYTES:
            return is_first
        before, s_per_byte = self._least_s_per_byte, took_s / size_bytes
        self._least_s_per_byte = s_per_byte if before is None else min(before, s_per_byte)
        return before is None

    def is_known(self, size_bytes: int) -> bool:
        """Say whether there was a reply that tells how long one of so many bytes may take."""
        if size_bytes < LONG_BYTES:
            return self.usual_s < math.inf
        return self._least_s_per_byte is not None

    def least_s(self, size_bytes: int) -> float:
        """Return what so many bytes take at the best pace so far, 0 while that is not known."""
        return (self._least_s_per_byte or 0.0) * size_bytes


NO_PACE = Pace()

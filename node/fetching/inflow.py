"""How fast bytes come in, and how much each holder may have in flight. Sets no option.

Several holders that answer at the same time fill the switch's queue before our link; the overflow
is lost, and that connection crawls for up to half a second, which delays the last chunk. TCP learns
that only by losing. So over a slow link, with many holders, each may have only a little in flight
(docs/build/decisions/0008-receive-windows.md).
"""

SLOW_BYTES_PER_S = 50e6  # As serving.pacing has it: faster links drain their queues in no time.
MANY_HOLDERS = 4
WINDOW_BYTES = 64 << 10  # TCP passes down this much at once: less costs both sides more work.
LONG_BYTES = 160 << 10  # Of longer chunks more bytes are in flight (serving.pacing), …
LONG_WINDOW_BYTES = 48 << 10  # … which overflows the switch's queue with more than this.
SPAN_S = 0.25  # The rate is measured over spans of this length.


class Inflow:
    """Counts what arrives; times are in seconds, rates in bytes per second."""

    def __init__(self) -> None:
        self.best_rate = 0.0  # Over the best span so far.
        self._span_began: float | None = None
        self._span_bytes = 0
        self._longest_bytes = 0

    def arrived(self, size_bytes: int, now: float) -> None:
        """Note the bytes of a chunk."""
        self._longest_bytes = max(self._longest_bytes, size_bytes)
        if self._span_began is None:
            self._span_began = now
            return  # These came before the span.
        self._span_bytes += size_bytes
        length_s = now - self._span_began
        if length_s >= SPAN_S:
            self.best_rate = max(self.best_rate, self._span_bytes / length_s)
            self._span_began, self._span_bytes = now, 0

    def window_bytes(self, holders: int, round_trip_s: float) -> int | None:
        """Return how much one of so many holders may have in flight, None to leave that to TCP.

        At least twice what a round trip carries, so that one holder alone can fill the link.
        """
        if holders < MANY_HOLDERS or not 0 < self.best_rate < SLOW_BYTES_PER_S:
            return None
        least_bytes = LONG_WINDOW_BYTES if self._longest_bytes > LONG_BYTES else WINDOW_BYTES
        return max(least_bytes, int(2 * self.best_rate * round_trip_s))

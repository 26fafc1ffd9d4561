"""How quickly bytes come in, and how much each holder may have on its way to us. Sets no option.

Several holders that answer at the same time fill the queue of the switch before our link; what does
not fit is lost, and the connection that lost it crawls for up to half a second, which is when the
last chunk of a fetch came. TCP by itself learns that only by losing. So over a slow link, from many
holders, each may have only a little on its way (docs/build/decisions/0008-receive-windows.md).
"""

SLOW_BYTES_PER_S = 50e6  # As node.pacing has it: quicker links drain their queues in no time.
MANY_HOLDERS = 4
WINDOW_BYTES = 64 << 10  # The most that TCP hands down at once: less costs both sides more work.
LONG_BYTES = 160 << 10  # But of longer chunks more are on their way at a time (node.pacing), …
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
        """Return what one of so many holders may have on its way, None if TCP may see to that.

        At least twice what a round trip carries, so that one holder alone can fill the link.
        """
        if holders < MANY_HOLDERS or not 0 < self.best_rate < SLOW_BYTES_PER_S:
            return None
        least_bytes = LONG_WINDOW_BYTES if self._longest_bytes > LONG_BYTES else WINDOW_BYTES
        return max(least_bytes, int(2 * self.best_rate * round_trip_s))

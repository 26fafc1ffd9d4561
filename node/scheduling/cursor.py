"""Where somebody reads, and how far ahead it pays to have chunks come first. Reads nothing."""

LEAST_AHEAD_BYTES = 1 << 20  # After the second read that follows the one before; then doubled …
MOST_AHEAD_BYTES = 64 << 20  # … up to this: half a second at 1 Gbit/s, and no more of the order …
# … in which a swarm exchanges chunks than it has to be.


class Cursor:
    """One reader's place in the bytes of a thing."""

    def __init__(self) -> None:
        self._start = self._end = -1
        self._ahead_bytes = 0

    def read(self, offset: int, size_bytes: int) -> tuple[int, int]:
        """Note a read; return from where to where the bytes are wanted first.

        One that begins in, or right behind, what was wanted so far goes on reading; then so much
        more is wanted. Any other one has jumped, and may jump again.
        """
        is_going_on = self._start < offset <= self._end
        if is_going_on:
            more_bytes = max(2 * self._ahead_bytes, LEAST_AHEAD_BYTES)
            self._ahead_bytes = min(more_bytes, MOST_AHEAD_BYTES)
        elif offset != self._start:
            self._ahead_bytes = 0
        self._start, self._end = offset, offset + size_bytes + self._ahead_bytes
        return self._start, self._end

    def has(self, end: int) -> None:
        """Note that all up to there can be read: the next read may begin there."""
        self._end = max(self._end, end)

"""Where somebody reads, and how much behind that is to come. Reads nothing."""

MOST_AHEAD_BYTES = 64 << 20  # Half a second at 1 Gbit/s, and no more of the order …
# … in which a swarm exchanges chunks than it has to be.
WHOLE_AFTER_BYTES = 16 << 20  # Of a file that is read from its beginning: then all of it comes.
FROM_START = 4  # Times what was read so far is to come ahead, up to there.
SHARE = 8  # Elsewhere, one part in so many: a column, or a tensor, has an end.


class Cursor:
    """One reader's place in a file."""

    def __init__(self, file_bytes: int) -> None:
        self.wants_all = False  # Of the file: it will be read to its end, or nearly was.
        self._file_bytes = file_bytes
        self._is_from_start = True  # It has read nothing but the file's beginning, up to here.
        self._began = 0  # The reads that follow one another, up to …
        self._at = self._asked = -1  # … the last one: from where to where.
        self._end = -1  # What is wanted, or can be read without asking.

    def read(self, offset: int, size_bytes: int) -> tuple[int, int]:
        """Note a read; return from where to where the bytes are wanted.

        One that begins in, or right behind, what was wanted so far goes on reading; then some more
        is wanted. Any other one has jumped, and may jump again.
        """
        end = offset + size_bytes
        if self._at <= offset and end <= self._asked:  # What is left of the last one.
            self._at = offset
            return offset, max(self._end, end)
        if not self._at <= offset <= self._end:
            self._is_from_start &= offset == 0
            self._began = offset
        self._at, self._asked = offset, end
        run_bytes = offset - self._began
        ahead_bytes = 0
        if run_bytes:
            from_start = self._is_from_start
            ahead_bytes = (
                FROM_START * (run_bytes + size_bytes) if from_start else run_bytes // SHARE
            )
        self._end = end + min(ahead_bytes, MOST_AHEAD_BYTES)
        is_long = self._is_from_start and run_bytes >= WHOLE_AFTER_BYTES
        self.wants_all = is_long or 5 * (run_bytes + size_bytes) >= 4 * self._file_bytes
        return offset, self._end

    def has(self, end: int) -> None:
        """Note that all up to there can be read: the next read may begin there."""
        self._end = max(self._end, end)

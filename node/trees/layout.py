"""Which parts of which files a stretch of a thing's bytes lies in. Opens none of them."""

import array
import bisect
import itertools
from collections.abc import Iterable

Piece = tuple[int, int, int]  # The number of a file, the offset in it, and how many bytes.


class Layout:
    """Files end to end, by their numbers."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._starts = array.array("Q", itertools.accumulate(sizes, initial=0))

    @property
    def size_bytes(self) -> int:
        return self._starts[-1]

    def pieces(self, offset: int, size_bytes: int) -> list[Piece]:
        """Return what lies from `offset` on, in order; empty files have no piece.

        Plain tuples: this is called for each file of each chunk that is read or written.
        """
        if size_bytes == 0:
            return []
        starts, end = self._starts, offset + size_bytes
        file = bisect.bisect_right(starts, offset) - 1
        found = []
        while (until := starts[file + 1]) < end:
            found.append((file, offset - starts[file], until - offset))
            offset = until
            file += 1
            if starts[file + 1] == offset:  # There may be a million empty ones.
                file = bisect.bisect_right(starts, offset) - 1
        found.append((file, offset - starts[file], end - offset))
        return found

    def stretch(self, file: int) -> tuple[int, int]:
        """Return where a file begins and ends."""
        return self._starts[file], self._starts[file + 1]

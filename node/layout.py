"""Which parts of which files a stretch of a thing's bytes lies in. Opens none of them."""

import array
import bisect
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Piece(NamedTuple):
    """`size_bytes` of file number `file`, from `offset` on."""

    file: int
    offset: int
    size_bytes: int


class Layout:
    """Files end to end, by their numbers."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._starts = array.array("Q", itertools.accumulate(sizes, initial=0))

    @property
    def size_bytes(self) -> int:
        return self._starts[-1]

    def pieces(self, offset: int, size_bytes: int) -> Iterator[Piece]:
        """Yield what lies from `offset` on, in order; empty files have no piece."""
        end = offset + size_bytes
        file = bisect.bisect_right(self._starts, offset) - 1
        while offset < end:
            start, until = self._starts[file], min(end, self._starts[file + 1])
            if until > offset:
                yield Piece(file, offset - start, until - offset)
            offset, file = until, file + 1

    def stretch(self, file: int) -> tuple[int, int]:
        """Return where a file begins and ends."""
        return self._starts[file], self._starts[file + 1]

"""Cuts a source where its content says so, and hashes the chunks, with all cores.

Each thread reads a piece of it into memory of its own, used again and again, and looks for cuts
from the piece's own start. These are not the right ones, as the last chunk of the piece before goes
on in this one; but nothing decides where a chunk ends but its own bytes. So the threads take turns:
each cuts from the right start until it meets a cut that it has found already. From there on all are
right, and the next may have its turn while this one hashes.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise

from shoal.node.files.signature import GoneError
from shoal.node.folder.source import Source
from shoal.protocol.content_cutting import MOST_AVERAGE_BYTES, SPREAD, cut_points
from shoal.protocol.manifest import MAX_CHUNKS
from shoal.protocol.size_cutting import LISTING_CHUNK_BYTES

PIECE_BYTES = 16 << 20
MOST_CONTENT_BYTES = MAX_CHUNKS * MOST_AVERAGE_BYTES // 2  # Beyond, there might be too many chunks.

_AVERAGES = ((4 << 20, 16 << 10), (256 << 20, 128 << 10), (16 << 30, 1 << 20))  # Up to which size.

Digest = Callable[[memoryview], bytes]


def average_for(size_bytes: int) -> int:
    """Return the average size of the chunks of so many bytes.

    In few steps: a version that has grown over one shares no chunk with the one before.
    """
    averages = (
        average_bytes for most_bytes, average_bytes in _AVERAGES if size_bytes <= most_bytes
    )
    return next(averages, MOST_AVERAGE_BYTES)


class ContentCut:
    """The chunks of one source: `run` finds them."""

    def __init__(self, source: Source, digest: Digest) -> None:
        """`digest` hashes one chunk, in any thread; `run` passes on its exceptions."""
        self._source = source
        self._digest = digest
        self._average_bytes = average_for(source.size_bytes - source.listing_bytes)
        self._turns = _Turns()
        self._found: dict[int, list[tuple[int, bytes]]] = {}  # Sizes and digests, by the piece.

    def run(self) -> tuple[list[int], bytes]:
        """Return the sizes of the chunks and their digests, end to end; the listing's come first.

        Raises:
            GoneError: the source changed meanwhile.
            OSError: it cannot be read.
        """
        threads = os.cpu_count() or 1
        with ThreadPoolExecutor(threads, "cut") as pool:
            chunks = list(self._listing())
            works = [pool.submit(self._work) for _ in range(threads)]
            troubles = [trouble for trouble in map(Future.exception, works) if trouble]
        for trouble in sorted(troubles, key=lambda trouble: isinstance(trouble, GoneError)):
            raise trouble  # The cause, and not that another thread stopped for it.
        for number in sorted(self._found):
            chunks += self._found[number]
        return [size_bytes for size_bytes, _ in chunks], b"".join(digest for _, digest in chunks)

    def _listing(self) -> Iterator[tuple[int, bytes]]:
        """Yield the chunks of the listing, which is cut by sizes."""
        listing = memoryview(self._source.read(0, self._source.listing_bytes))
        for start in range(0, len(listing), LISTING_CHUNK_BYTES):
            chunk = listing[start : start + LISTING_CHUNK_BYTES]
            yield len(chunk), self._digest(chunk)

    def _work(self) -> None:
        headroom = SPREAD * self._average_bytes  # The rest of the piece before is shorter.
        buffer = memoryview(bytearray(headroom + min(PIECE_BYTES, self._source.size_bytes)))
        try:
            while (number := self._turns.take()) * PIECE_BYTES < self._size_bytes:
                self._found[number] = self._piece(number, buffer, headroom)
        except BaseException:
            self._turns.give_up()
            raise

    @property
    def _size_bytes(self) -> int:
        return self._source.size_bytes - self._source.listing_bytes

    def _piece(self, number: int, buffer: memoryview, headroom: int) -> list[tuple[int, bytes]]:
        start = number * PIECE_BYTES
        end = min(start + PIECE_BYTES, self._size_bytes)
        piece = buffer[headroom : headroom + end - start]
        self._source.read_into(self._source.listing_bytes + start, piece)
        is_end = end == self._size_bytes
        guessed = cut_points(piece, self._average_bytes, is_end=is_end)
        rest = self._turns.wait(number)
        data = buffer[headroom - len(rest) : headroom + len(piece)]
        data[: len(rest)] = rest
        cuts = self._joined(data, [len(rest) + cut for cut in guessed], len(rest), is_end=is_end)
        self._turns.end(bytes(data[cuts[-1] if cuts else 0 :]))
        return [(two - one, self._digest(data[one:two])) for one, two in pairwise([0, *cuts])]

    def _joined(
        self, data: memoryview, guessed: list[int], start: int, *, is_end: bool
    ) -> list[int]:
        """Return the cuts of `data`: the `guessed` ones are right from the first true one on.

        They are those from `start` on: if that is 0, all are right.
        """
        known = {start, *guessed}
        cuts = [0]
        step_bytes = SPREAD * self._average_bytes  # It has one whole chunk, if `data` has.
        while cuts[-1] not in known:
            window = data[cuts[-1] : cuts[-1] + step_bytes]
            at_end = is_end and cuts[-1] + len(window) == len(data)
            more = cut_points(window, self._average_bytes, is_end=at_end)
            if not more:
                return cuts[1:]
            for cut in [cuts[-1] + end for end in more]:
                cuts.append(cut)
                if cut in known:
                    break
        return cuts[1:] + [cut for cut in guessed if cut > cuts[-1]]


class _Turns:
    """Hands out the numbers of pieces, and passes the rest of each to the next, in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._taken = 0
        self._turn = 0
        self._rest = b""
        self._is_over = False

    def take(self) -> int:
        with self._changed:
            self._taken += 1
            return self._taken - 1

    def wait(self, number: int) -> bytes:
        """Return the rest of the piece before; raise GoneError if another thread gave up."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn == number or self._is_over)
            if self._is_over:
                raise GoneError("stopped")
            return self._rest

    def end(self, rest: bytes) -> None:
        with self._changed:
            self._rest = rest
            self._turn += 1
            self._changed.notify_all()

    def give_up(self) -> None:
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

"""The chunks that are missing, which of them are free, and which have equal bytes. Knows no holder.

Of chunks with the same bytes one is fetched and written to all their places; chunks of zeros are
not fetched at all. The manifest's digests say which these are.
"""

import bisect
import functools
import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from blake3 import blake3
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random

Stretches = Iterable[tuple[int, int]]  # Of chunks: the first, and the one after the last.

LONG_TURN = 128  # Chunks of a file that comes before others: of shorter ones hosts soon have …
SHORT_SHARE = 0.75  # … the same, and nothing to exchange; so they are only asked for this often.

_ZEROS = memoryview(bytes(1 << 20))


class Wanted:
    """Sets of chunks (protocol.bitmap): `missing`, and those of them that are `free` to request."""

    def __init__(self, have: int, needed: int, rng: "Random", twins: "Twins") -> None:
        """Want the chunks that are `needed` and not in `have`.

        Of `twins` one is requested at a time, and with it all of them arrive.
        """
        self.missing = needed & ~have
        self._unclaimed = self.missing
        self._only: int | None = None  # If set, no others are to be requested.
        self._have_or_missing = have | needed
        self._rng = rng
        self._twins = twins
        self._ends: Sequence[int] = ()  # Where turns end, if files are to come in order.
        self._urged: list[tuple[int, int]] = []  # Where somebody reads, and the chunks from there.

    @property
    def is_complete(self) -> bool:
        return self.missing == 0

    @property
    def free(self) -> int:
        """Those that are to be requested, and are not being requested."""
        return self._unclaimed if self._only is None else self._unclaimed & self._only

    @property
    def is_idle(self) -> bool:
        """Whether all that is to be requested, for now, is here."""
        return self._only is not None and not self.missing & self._only

    @property
    def have(self) -> int:
        return self._have_or_missing & ~self.missing

    def with_twins(self, bits: int) -> int:
        """Return these and all with the same bytes: none of them is to be requested again."""
        return self._twins.with_all(bits)

    def arrived(self, index: int) -> int:
        """Note that a chunk has arrived, and its twins with it; return which were missing."""
        came = self._twins.of(index) & self.missing
        self.missing &= ~came
        self._unclaimed &= ~came
        return came

    def claim(self, bits: int) -> None:
        """Note that these are being requested."""
        self._unclaimed &= ~bits

    def release(self, bits: int) -> None:
        """Note that no request for these is out any more."""
        self._unclaimed |= bits & self.missing

    def urge(self, stretches: Stretches, only: Stretches | None = None) -> None:
        """Have these come first, and nothing else; of each, the chunks nearest to its start.

        If `only` is given, no others are to come than are in that.
        """
        self._urged = [(start, _between(start, end)) for start, end in stretches]
        self._only = None
        if only is not None:
            self._only = functools.reduce(operator.or_, (_between(*one) for one in only), 0)

    @property
    def urgent(self) -> int:
        """The missing chunks that are to come first."""
        return functools.reduce(operator.or_, (bits for _, bits in self._urged), 0) & self.missing

    @property
    def awaited(self) -> int:
        """Those of them that somebody is likely to wait for right now: the first of each."""
        firsts = (bits & self.missing for _, bits in self._urged)
        return bitmap.of(bitmap.lowest(bits) for bits in firsts if bits)

    def order(self, ends: Sequence[int]) -> None:
        """Have files come in turn, on all hosts alike; `ends` are the chunks behind each turn's."""
        self._ends = ends

    def _in_turn(self, candidates: int, *, is_scattered: bool) -> int:
        """Return those candidates whose turn it is, or all."""
        first = bitmap.lowest(self.missing)
        turn = bisect.bisect_right(self._ends, first)
        if turn == len(self._ends):
            return candidates
        start, end = self._ends[turn - 1] if turn else 0, self._ends[turn]
        is_short = is_scattered and end - start < LONG_TURN
        if is_short and self._rng.random() >= SHORT_SHARE:
            return candidates
        return candidates & bitmap.full(end) or candidates

    def pick(self, candidates: int, *, is_scattered: bool) -> int:
        """Return which of the candidates (protocol.bitmap, not empty) to request next.

        What is urged comes first. Otherwise whole holders are asked for one chunk after the other,
        which suits their disks. In a swarm (`is_scattered`) any candidate is as likely as any
        other: hosts that have different chunks have something to exchange.
        """
        urged = [
            (bitmap.lowest(found) - start, bitmap.lowest(found))
            for start, bits in self._urged
            if (found := bits & candidates)
        ]
        if urged:
            return min(urged)[1]
        candidates = self._in_turn(candidates, is_scattered=is_scattered)
        if not is_scattered:
            return bitmap.lowest(candidates)
        return bitmap.nth(candidates, int(self._rng.random() * candidates.bit_count()))


def _between(start: int, end: int) -> int:
    return bitmap.full(end) & ~bitmap.full(start)


class Twins:
    """The chunks of one thing that have the same digest and the same size, as sets."""

    def __init__(self, thing: Manifest) -> None:
        """A forged manifest may give a digest with another size: no bytes have both."""
        self._same: dict[int, int] = {}  # By chunk, for those that are not the only one.
        self._all = 0  # Those.
        chunks = range(thing.chunk_count)
        if len({thing.digest(index) for index in chunks}) == thing.chunk_count:
            return
        by_bytes: dict[tuple[bytes, int], list[int]] = {}
        for index in chunks:
            by_bytes.setdefault((thing.digest(index), thing.chunk_size(index)), []).append(index)
        for indices in by_bytes.values():
            if len(indices) > 1:
                bits = bitmap.of(indices)
                self._same.update(dict.fromkeys(indices, bits))
                self._all |= bits

    def of(self, index: int) -> int:
        """Return the chunks (protocol.bitmap) with the bytes of `index`, which is one of them."""
        return self._same.get(index, 1 << index)

    def with_all(self, chunks: int) -> int:
        """Return these chunks, and all others with the bytes of one of them."""
        left, found = chunks & self._all, chunks
        while left:
            same = self._same[bitmap.lowest(left)]
            found |= same
            left &= ~same
        return found


def all_zeros(thing: Manifest) -> int:
    """Return the chunks (protocol.bitmap) that consist of zeros.

    Zeros are hashed once, up to the size of the largest chunk, and compared at each size.
    """
    chunks = range(thing.chunk_count)
    hasher, hashed_bytes = blake3(), 0
    digests: dict[int, bytes] = {}
    for size_bytes in sorted({thing.chunk_size(index) for index in chunks}):
        while hashed_bytes < size_bytes:
            block = _ZEROS[: size_bytes - hashed_bytes]
            hasher.update(block)
            hashed_bytes += len(block)
        digests[size_bytes] = hasher.digest()
    return bitmap.of(
        index for index in chunks if thing.digest(index) == digests[thing.chunk_size(index)]
    )

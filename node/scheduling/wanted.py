"""The chunks that are missing, which of them are free, and which have equal bytes. Knows no holder.

Of chunks with the same bytes one is fetched and written to all their places; chunks of zeros are
not fetched at all. The manifest's digests say which these are.
"""

from typing import TYPE_CHECKING

from blake3 import blake3
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random

_ZEROS = memoryview(bytes(1 << 20))


class Wanted:
    """Sets of chunks (protocol.bitmap): `missing`, and those of them that are `free` to request."""

    def __init__(self, have: int, needed: int, rng: "Random", twins: "Twins") -> None:
        """Want the chunks that are `needed` and not in `have`.

        Of `twins` one is requested at a time, and with it all of them arrive.
        """
        self.missing = needed & ~have
        self.free = self.missing
        self._have_or_missing = have | needed
        self._rng = rng
        self._twins = twins

    @property
    def is_complete(self) -> bool:
        return self.missing == 0

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
        self.free &= ~came
        return came

    def claim(self, bits: int) -> None:
        """Note that these are being requested."""
        self.free &= ~bits

    def release(self, bits: int) -> None:
        """Note that no request for these is out any more."""
        self.free |= bits & self.missing

    def pick(self, candidates: int, *, is_scattered: bool) -> int:
        """Return which of the candidates (protocol.bitmap, not empty) to request next.

        Whole holders are asked for one chunk after the other, which suits their disks. In a swarm
        (`is_scattered`) any candidate is as likely as any other: hosts that have different chunks
        have something to exchange.
        """
        if not is_scattered:
            return bitmap.lowest(candidates)
        return bitmap.nth(candidates, int(self._rng.random() * candidates.bit_count()))


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

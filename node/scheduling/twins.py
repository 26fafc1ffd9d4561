"""Which chunks of a thing have the same bytes, and which have only zeros. Reads none of them.

Its manifest says so: of equal chunks one is fetched and written to all their places, and zeros are
not fetched at all.
"""

from blake3 import blake3
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest

_BLOCK = memoryview(bytes(1 << 20))


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
    """Return the chunks (protocol.bitmap) that have only zeros.

    Zeros are hashed once, up to the largest chunk, with a look at the digest at each size.
    """
    chunks = range(thing.chunk_count)
    hasher, hashed_bytes = blake3(), 0
    digests: dict[int, bytes] = {}
    for size_bytes in sorted({thing.chunk_size(index) for index in chunks}):
        while hashed_bytes < size_bytes:
            block = _BLOCK[: size_bytes - hashed_bytes]
            hasher.update(block)
            hashed_bytes += len(block)
        digests[size_bytes] = hasher.digest()
    return bitmap.of(
        index for index in chunks if thing.digest(index) == digests[thing.chunk_size(index)]
    )

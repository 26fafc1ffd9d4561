"""Things to fetch and serve, made of a few chunks whose bytes are known; and random numbers."""

from collections.abc import Sequence
from random import Random

from blake3 import blake3

from protocol import bitmap, manifest
from protocol.manifest import ContentId, Entry, Manifest, Run

RNG_SEED = 7


def rng() -> Random:
    return Random(RNG_SEED)


def chunk(index: int, size_bytes: int = 10, version: int = 1) -> bytes:
    """Return the right bytes of a chunk."""
    return (b"%d/%d." % (version, index) * size_bytes)[:size_bytes]


def thing(sizes: Sequence[int], version: int = 1) -> Manifest:
    """Return the manifest of chunks of these sizes in bytes."""
    runs: list[Run] = []
    for size in sizes:
        if runs and runs[-1].size_bytes == size:
            runs[-1] = Run(size, runs[-1].count + 1)
        else:
            runs.append(Run(size, 1))
    digests = b"".join(
        blake3(chunk(index, size, version)).digest() for index, size in enumerate(sizes)
    )
    return Manifest((Entry("", sum(sizes), manifest.PLAIN_MODE),), tuple(runs), digests)


def plain(data: bytes, mode: int = manifest.PLAIN_MODE) -> Manifest:
    """Return the manifest that the product would make of a file with this content."""
    size = manifest.chunk_size_for(len(data))
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    digests = b"".join(blake3(each).digest() for each in chunks)
    return manifest.plain_file(len(data), mode, digests)


def id_of(thing: Manifest) -> ContentId:
    return manifest.id_of(manifest.encode(thing))


def bits(digits: str) -> int:
    """Return the set of the chunks that are named, each by one digit."""
    return bitmap.of(map(int, digits))


def digits(bits: int) -> str:
    return "".join(map(str, bitmap.indices(bits)))

"""From a thing's bytes to its manifest, with all cores. Remembers nothing (that is the cache's)."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TypeVar

from blake3 import blake3

from node.whole import GoneError, Source
from protocol import manifest
from protocol.manifest import Manifest

Item = TypeVar("Item")
R = TypeVar("R")

SERIAL_CHUNKS = 8  # Starting threads costs more than hashing so few.


def hash_source(
    source: Source, on_progress: Callable[[int], None], should_stop: Callable[[], bool]
) -> Manifest:
    """Return the manifest of what `source` has; each byte is read once.

    Args:
        source: a file or a tree.
        on_progress: called with the bytes of each chunk once it is hashed.
        should_stop: asked before each chunk.

    Raises:
        GoneError: it changed meanwhile, or `should_stop` said so.
        OSError: it cannot be read.
        ValueError: it is too large.
    """
    sizes = source.cut()

    def digest(chunk: tuple[int, int]) -> bytes:
        offset, size_bytes = chunk
        if should_stop():
            raise GoneError("stopped")
        data = source.read(offset, size_bytes)
        on_progress(size_bytes)
        return blake3(data).digest()

    offsets = accumulate(sizes[:-1], initial=0)
    chunks = list(zip(offsets, sizes, strict=True)) if sizes else []
    digests = b"".join(map_with_all_cores(digest, chunks))
    return described(source, sizes, digests)


def described(source: Source, sizes: Sequence[int], digests: bytes) -> Manifest:
    """Return the manifest of what `source` has, cut into chunks of these sizes."""
    if source.listing_bytes:
        return manifest.of_tree(source.listing_bytes, sizes, digests)
    return manifest.of_file(source.signature.mode, sizes, digests)


def verified_chunks(read: Callable[[int], bytes], thing: Manifest, candidates: list[int]) -> int:
    """Return which of the `candidates` have the right bytes (protocol.bitmap)."""

    def is_right(index: int) -> int:
        return (blake3(read(index)).digest() == thing.digest(index)) << index

    return sum(map_with_all_cores(is_right, candidates))


def map_with_all_cores(function: Callable[[Item], R], items: Sequence[Item]) -> Iterable[R]:
    """Apply `function` with all cores: reading and hashing both let other threads run."""
    if len(items) <= SERIAL_CHUNKS:
        return map(function, items)
    with ThreadPoolExecutor(os.cpu_count() or 1, "hash") as pool:
        return list(pool.map(function, items))

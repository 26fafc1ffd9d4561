"""From a thing's bytes to its manifest, with all cores. Remembers nothing (that is the cache's)."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TypeVar

from blake3 import blake3
from shoal.node.files.signature import GoneError
from shoal.node.folder.known_chunks import KnownChunks
from shoal.node.folder.source import Source
from shoal.node.folder.whole import Whole
from shoal.protocol import manifest
from shoal.protocol.control import Chunking
from shoal.protocol.manifest import Manifest

Item = TypeVar("Item")
R = TypeVar("R")

SERIAL_CHUNKS = 8  # Starting threads costs more than hashing so few.


def hash_source(
    source: Source,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
    chunking: Chunking = "fixed",
    before: Whole | None = None,
) -> Manifest:
    """Return the manifest of what `source` has; each byte is read once at most.

    Args:
        source: a file or a tree.
        on_progress: called with the bytes of each chunk once it is hashed.
        should_stop: asked before each chunk.
        chunking: where to cut. A huge thing is cut by sizes in any case.
        before: an earlier version. What has not changed since, in a tree, is not read.

    Raises:
        GoneError: it changed meanwhile, or `should_stop` said so.
        OSError: it cannot be read.
        ValueError: it is too large.
    """

    def digest(data: bytes | memoryview) -> bytes:
        if should_stop():
            raise GoneError("stopped")
        on_progress(len(data))
        return blake3(data).digest()

    if chunking == "content":
        from shoal.node.folder.cut_source import MOST_CONTENT_BYTES, ContentCut  # noqa: PLC0415 (few need it)

        if source.size_bytes <= MOST_CONTENT_BYTES:
            return described(source, *ContentCut(source, digest).run())
    sizes = source.cut()
    offsets = accumulate(sizes[:-1], initial=0)
    chunks = list(zip(offsets, sizes, strict=True)) if sizes else []
    known = KnownChunks(source, before)

    def digest_of(chunk: tuple[int, int]) -> bytes:
        found = known.digest(*chunk)
        if found is None:
            return digest(source.read(*chunk))
        on_progress(chunk[1])
        return found

    digests = map_with_all_cores(digest_of, chunks)
    return described(source, sizes, b"".join(digests))


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

"""From a thing's bytes to its manifest, with all cores, and the progress of that.

Remembers nothing (folder.cache does).
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import TypeVar

from blake3 import blake3
from shoal.node.files.holes import is_hole
from shoal.node.files.signature import LARGE_BYTES, GoneError
from shoal.node.folder.known_chunks import KnownChunks
from shoal.node.folder.source import Source
from shoal.node.folder.whole import Whole
from shoal.protocol import manifest
from shoal.protocol.control import Chunking
from shoal.protocol.manifest import Manifest

log = logging.getLogger("shoal.node")

Item = TypeVar("Item")
R = TypeVar("R")

SAY_S = 2.0  # How often to log the progress …
SHOW_S = 0.1  # … and how often to report it to somebody who waits.
SERIAL_CHUNKS = 8  # Starting threads costs more than hashing so few.


def hash_source(
    source: Source,
    on_progress: Callable[[int], None],
    should_stop: Callable[[], bool],
    chunking: Chunking = "fixed",
    before: Whole | None = None,
) -> Manifest:
    """Return the manifest of `source`; each byte is read at most once.

    Args:
        source: a file or a tree.
        on_progress: called with the bytes of each chunk when its digest is known.
        should_stop: asked before each chunk.
        chunking: where to cut. A huge thing is cut by sizes in any case.
        before: an earlier version. The unchanged files of a tree are not read.

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
    known = KnownChunks(source, before)
    return described(source, *_hashed_by_sizes(source, known, digest, on_progress))


def _hashed_by_sizes(
    source: Source,
    known: KnownChunks,
    digest: Callable[[bytes], bytes],
    on_progress: Callable[[int], None],
) -> tuple[list[int], bytes]:
    """Return the sizes of the chunks and their digests, end to end."""

    def digest_of(chunk: tuple[int, int]) -> bytes:
        found = known.digest(*chunk)
        if found is None and _is_hole(source, *chunk):
            found = _digest_of_zeros(chunk[1])
        if found is None:
            return digest(source.read(*chunk))
        on_progress(chunk[1])
        return found

    sizes = source.cut()
    offsets = list(accumulate(sizes, initial=0))[:-1]
    digests = map_with_all_cores(digest_of, list(zip(offsets, sizes, strict=True)))
    return sizes, b"".join(digests)


def _is_hole(source: Source, offset: int, size_bytes: int) -> bool:
    """Return whether a large chunk is a hole of one file; raise GoneError if that has changed."""
    if size_bytes < LARGE_BYTES:
        return False
    first, *more = source.stretches(offset, size_bytes)
    if more or not first.path:
        return False
    try:
        return is_hole(*first)
    except OSError:
        return False  # Reading it will tell.


@functools.lru_cache(maxsize=64)
def _digest_of_zeros(size_bytes: int) -> bytes:
    return blake3(bytes(size_bytes)).digest()


def described(source: Source, sizes: Sequence[int], digests: bytes) -> Manifest:
    """Return the manifest of `source`, cut into chunks of these sizes."""
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


class HashProgress:
    """Counts the bytes that are hashed. May be told of them from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on_hashed: Callable[[int, int], None] | None = None
        self._total_bytes = 0
        self._done_bytes = 0
        self._said_at = 0.0

    def begin(
        self, sources: Iterable[Source], on_hashed: Callable[[int, int], None] | None = None
    ) -> None:
        """Begin to count; tell `on_hashed` how many bytes are done, and of how many."""
        self._total_bytes = sum(source.size_bytes for source in sources)
        self._done_bytes = 0
        self._on_hashed = on_hashed
        self._said_at = time.monotonic()

    def hashed(self, size_bytes: int) -> None:
        with self._lock:
            self._done_bytes += size_bytes
            now = time.monotonic()
            if now - self._said_at < (SHOW_S if self._on_hashed else SAY_S):
                return
            self._said_at = now
            done, total = self._done_bytes, max(self._total_bytes, self._done_bytes)
        if self._on_hashed is not None:
            self._on_hashed(done, total)
            return
        log.info("hashing: %.1f of %.1f GB, %d %%", done / 1e9, total / 1e9, 100 * done // total)

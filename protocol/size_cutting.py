"""Where chunks begin, by sizes alone, so that all nodes cut the same content in the same way.

The rule is docs/build/protocol.md's; why it is this one: docs/build/decisions/0003-chunk-sizes.md.
"""

from collections.abc import Iterable, Iterator

from shoal.protocol.manifest import MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_SIZE_BYTES

LISTING_CHUNK_BYTES = 256 << 10
MOST_FILES = 256  # That share a chunk: each costs some 10 us to read or write.

_SMALL_FILE_CHUNKS = 8
_SMALLEST_CHUNK_BYTES = 256
_LEAST_CHUNK_BYTES = 128 << 10  # Of a file that is not small, …
_FEW_BYTES = 32 << 20  # … up to this size.
_NEXT_CHUNK_BYTES = 160 << 10  # Of a larger one, unless that makes too many; then doubled, …
_MANY_CHUNK_BYTES = 256 << 10  # … from this …
_MOST_CHUNK_BYTES = 4 << 20  # … up to this.
_USUAL_CHUNKS = 512
_SMALL_TREE_BYTES = 1 << 20
_LEAST_TREE_CHUNK_BYTES = 256 << 10  # Its files are cost enough.
_SWARM_BYTES = 1 << 30  # Up to this size twice as many chunks: they pay.


def chunk_size_for(size_bytes: int) -> int:
    """Return the chunk size for a file of `size_bytes`, in bytes.

    From 128 KiB to 4 MiB, so that a file has some 200 to 1024 chunks: in a swarm each host waits
    for a few whole chunks, so they must be short beside the file, and each costs 0.3 to 2 ms, so
    they must be few. Beyond, doubled until a huge file has at most MAX_CHUNKS. A small file is cut
    into up to 8, so that it too comes from several holders at once, but into 2 if they had less
    than 256 bytes.

    Raises:
        ValueError: it is larger than MAX_SIZE_BYTES.
    """
    if size_bytes > MAX_SIZE_BYTES:
        raise ValueError(f"is larger than {MAX_SIZE_BYTES} bytes")
    if size_bytes <= _SMALL_FILE_CHUNKS * _LEAST_CHUNK_BYTES:
        eighth = -(-size_bytes // _SMALL_FILE_CHUNKS)
        half = -(-size_bytes // 2)
        return max(1, min(max(eighth, _SMALLEST_CHUNK_BYTES), half))
    usual = 2 * _USUAL_CHUNKS if size_bytes <= _SWARM_BYTES else _USUAL_CHUNKS
    if size_bytes <= _FEW_BYTES:
        return _LEAST_CHUNK_BYTES
    if size_bytes <= 2 * _USUAL_CHUNKS * _NEXT_CHUNK_BYTES:
        return _NEXT_CHUNK_BYTES
    chunk_size = _MANY_CHUNK_BYTES
    while chunk_size * usual < size_bytes and chunk_size < _MOST_CHUNK_BYTES:
        chunk_size *= 2
    while chunk_size * MAX_CHUNKS < size_bytes:
        chunk_size *= 2
    return chunk_size


def file_cut(size_bytes: int) -> list[int]:
    """Return the sizes of a file's chunks; raises as `chunk_size_for`."""
    return list(_tiles(size_bytes, chunk_size_for(size_bytes)))


def tree_cut(listing_bytes: int, file_sizes: Iterable[int]) -> list[int]:
    """Return the sizes of a tree's chunks: of its listing, and of its files in their order.

    Up to MOST_FILES neighbouring small files share chunks. A file as large as a chunk begins one
    and ends one, so that what changes in one large file shifts nothing in the others.

    Raises:
        ValueError: it is too large.
    """
    sizes = list(file_sizes)
    size_bytes = sum(sizes)
    chunk_size = chunk_size_for(size_bytes)
    if size_bytes > _SMALL_TREE_BYTES:
        chunk_size = max(chunk_size, _LEAST_TREE_CHUNK_BYTES)
    while chunk_size <= MAX_CHUNK_BYTES:
        cut = list(_tiles(listing_bytes, LISTING_CHUNK_BYTES))
        for stretch in _stretches(sizes, chunk_size):
            cut += _tiles(stretch, chunk_size)
        if len(cut) <= MAX_CHUNKS:
            return cut
        chunk_size *= 2
    raise ValueError(f"is cut into more than {MAX_CHUNKS} chunks")


def _stretches(file_sizes: list[int], chunk_size: int) -> Iterator[int]:
    """Yield the sizes of stretches that are cut on their own: a large file, or small neighbours."""
    together, count = 0, 0
    for size in file_sizes:
        if size >= chunk_size or count == MOST_FILES:
            yield together
            together, count = 0, 0
        if size >= chunk_size:
            yield size
        elif size:
            together += size
            count += 1
    yield together


def _tiles(size_bytes: int, chunk_size: int) -> Iterator[int]:
    for _ in range(size_bytes // chunk_size):
        yield chunk_size
    if size_bytes % chunk_size:
        yield size_bytes % chunk_size

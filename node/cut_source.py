"""Cuts what a source has where its content says so, as it is read. Hashes nothing."""

from collections.abc import Iterator

from node.content_cut import MOST_AVERAGE_BYTES, SPREAD, cut_points
from node.whole import Source
from protocol.cutting import LISTING_CHUNK_BYTES
from protocol.manifest import MAX_CHUNKS

READ_BYTES = 2 * SPREAD * MOST_AVERAGE_BYTES  # At a time: it has one whole chunk at least.
MOST_CONTENT_BYTES = MAX_CHUNKS * MOST_AVERAGE_BYTES // 2  # Beyond, there might be too many chunks.
_AVERAGES = ((4 << 20, 16 << 10), (256 << 20, 128 << 10), (16 << 30, 1 << 20))  # Up to which size.


def average_for(size_bytes: int) -> int:
    """Return the average size of the chunks of so many bytes.

    In few steps: a version that has grown over one shares no chunk with the one before.
    """
    averages = (
        average_bytes for most_bytes, average_bytes in _AVERAGES if size_bytes <= most_bytes
    )
    return next(averages, MOST_AVERAGE_BYTES)


def cut_source(source: Source) -> Iterator[memoryview]:
    """Yield the chunks of `source` in order; its listing is cut by sizes.

    Raises:
        GoneError: it changed meanwhile.
        OSError: it cannot be read.
    """
    for offset in range(0, source.listing_bytes, LISTING_CHUNK_BYTES):
        size_bytes = min(LISTING_CHUNK_BYTES, source.listing_bytes - offset)
        yield memoryview(source.read(offset, size_bytes))
    average_bytes = average_for(source.size_bytes - source.listing_bytes)
    rest = memoryview(b"")
    for offset in range(source.listing_bytes, source.size_bytes, READ_BYTES):
        size_bytes = min(READ_BYTES, source.size_bytes - offset)
        data = memoryview(b"".join((rest, source.read(offset, size_bytes))))
        is_end = offset + size_bytes == source.size_bytes
        start = 0
        for end in cut_points(data, average_bytes, is_end=is_end):
            yield data[start:end]
            start = end
        rest = data[start:]

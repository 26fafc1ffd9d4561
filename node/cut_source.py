"""Cuts what a source has where its content says so, as it is read. Hashes nothing.

Finding the cuts takes longer than hashing, so two threads look for them, each in one half of a
piece. Where the second begins its cuts are not the right ones; but as nothing but a chunk's own
bytes decides where it ends, all cuts after the first one that both have found are the same.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from node.content_cut import MOST_AVERAGE_BYTES, SPREAD, cut_points
from node.whole import Source
from protocol.cutting import LISTING_CHUNK_BYTES
from protocol.manifest import MAX_CHUNKS

READ_BYTES = 4 * SPREAD * MOST_AVERAGE_BYTES  # At a time: each half has one whole chunk at least.
MOST_CONTENT_BYTES = MAX_CHUNKS * MOST_AVERAGE_BYTES // 2  # Beyond, there might be too many chunks.

_AVERAGES = ((4 << 20, 16 << 10), (256 << 20, 128 << 10), (16 << 30, 1 << 20))  # Up to which size.
_STEP_CHUNKS = 4  # Of the largest size, at a time, to find the first cut that both have found.


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
    with ThreadPoolExecutor(2, "cut") as pool:
        for piece, is_end in _pieces(source, pool):
            data = memoryview(b"".join((rest, piece)))
            start = 0
            for end in _cuts(data, average_bytes, pool, is_end=is_end):
                yield data[start:end]
                start = end
            rest = data[start:]


def _pieces(source: Source, pool: ThreadPoolExecutor) -> Iterator[tuple[bytes, bool]]:
    """Yield what the source has, and whether that is the last; the next is read meanwhile."""
    sizes = [
        (offset, min(READ_BYTES, source.size_bytes - offset))
        for offset in range(source.listing_bytes, source.size_bytes, READ_BYTES)
    ]
    following = pool.submit(source.read, *sizes[0]) if sizes else None
    for number in range(len(sizes)):
        assert following is not None
        piece = following.result()
        is_end = number + 1 == len(sizes)
        if not is_end:
            following = pool.submit(source.read, *sizes[number + 1])
        yield piece, is_end


def _cuts(
    data: memoryview, average_bytes: int, pool: ThreadPoolExecutor, *, is_end: bool
) -> list[int]:
    """Return what `cut_points` does, found by two threads."""
    step_bytes = _STEP_CHUNKS * SPREAD * average_bytes
    middle = len(data) // 2
    if middle < step_bytes:
        return cut_points(data, average_bytes, is_end=is_end)
    second = pool.submit(cut_points, data[middle:], average_bytes, is_end=is_end)
    cuts = cut_points(data[:middle], average_bytes, is_end=False)
    later = [middle, *(middle + end for end in second.result())]
    known = set(later)
    while cuts and cuts[-1] not in known:
        start = cuts[-1]
        window = data[start : start + step_bytes]
        at_end = is_end and start + len(window) == len(data)
        more = cut_points(window, average_bytes, is_end=at_end)
        if not more:
            return cuts
        for end in more:
            cuts.append(start + end)
            if cuts[-1] in known:
                break
    last = cuts[-1] if cuts else 0
    return cuts + [end for end in later if end > last]

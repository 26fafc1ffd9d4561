"""Where the bytes themselves say to cut: what is inserted moves only the cuts near it.

Reads no files and hashes no chunks (that is hashing's). The rule is FastCDC's (Xia et al., 2020, as
pyfastcdc has it): a chunk ends before the byte at which a rolling hash of the last 64 has some bits
at zero, 22 of them up to the average size and 18 from there on, for an average of 1 MiB. Nothing
but the bytes since the chunk's start decides.
"""

from typing import Final

from pyfastcdc import FastCDC

SPREAD = 4  # A chunk has from a quarter of the average to four times as much.
LEAST_AVERAGE_BYTES = 1 << 8  # The library's limits …
MOST_AVERAGE_BYTES = 1 << 22  # … so that a chunk has up to 16 MiB.
_NORMALIZATION: Final = 1


def cut_points(data: memoryview, average_bytes: int, *, is_end: bool) -> list[int]:
    """Return where the chunks end that are certain in `data`, as offsets from its start.

    To cut a stream in pieces, give what is after the last end again, before the next piece; it is
    shorter than the largest chunk, `SPREAD * average_bytes`. The cuts are then those of the whole
    stream, however long the pieces are. The library holds the lock of the interpreter only between
    two chunks, and copies nothing.

    Args:
        data: contiguous bytes, from the start of a chunk.
        average_bytes: a power of two from LEAST_AVERAGE_BYTES to MOST_AVERAGE_BYTES.
        is_end: whether the stream ends with `data`: then the last end is that of `data`.
    """
    assert data.c_contiguous  # The library does not look …
    assert data.itemsize == 1  # … at either.
    assert average_bytes.bit_count() == 1
    assert LEAST_AVERAGE_BYTES <= average_bytes <= MOST_AVERAGE_BYTES
    most_bytes = SPREAD * average_bytes
    chunker = FastCDC(
        average_bytes,
        min_size=average_bytes // SPREAD,
        max_size=most_bytes,
        normalized_chunking=_NORMALIZATION,
    )
    sizes_and_ends = [(cut.length, cut.offset + cut.length) for cut in chunker.cut_buf(data)]
    ends = [end for _, end in sizes_and_ends]
    if ends and not is_end and sizes_and_ends[-1][0] < most_bytes:
        ends.pop()  # What cut it off may have been the end of `data`.
    return ends

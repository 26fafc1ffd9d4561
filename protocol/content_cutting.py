"""Content-defined chunking: an insertion moves only the cuts near it.

Reads no files and hashes no chunks. The rule is FastCDC's (Xia et al., 2020): a chunk ends before
the byte at which the rolling hash of the last 48 has certain bits at zero: half as often as the
average asks for while the chunk is shorter than that, and twice as often from there on. Nothing but
the bytes since the chunk's start decides (docs/build/decisions/0010-content-defined-chunks.md).
"""

from typing import Final

from pyfastcdc import FastCDC

SPREAD = 4  # A chunk has from a quarter of the average to four times as much.
LEAST_AVERAGE_BYTES = 1 << 8  # The library's limits …
MOST_AVERAGE_BYTES = 1 << 22  # … so that a chunk has up to 16 MiB.
_NORMALIZATION: Final = 1  # Bits of the hash. With 2, sizes vary less, but cuts realign later.


def cut_points(data: memoryview, average_bytes: int, *, is_end: bool) -> list[int]:
    """Return where the chunks end that are certain in `data`, as offsets from its start.

    To cut a stream in pieces, give what is after the last end once more, before the next piece; it
    is shorter than the largest chunk, `SPREAD * average_bytes`. The ends are then those of the
    whole stream, however long the pieces are. Copies nothing, and lets other threads run.

    Args:
        data: contiguous bytes, from the start of a chunk.
        average_bytes: a power of two from LEAST_AVERAGE_BYTES to MOST_AVERAGE_BYTES. Of others the
            library's 0.2 and 0.3 round the logarithm differently, and so cut differently.
        is_end: whether the stream ends with `data`: then its end is the last one returned.
    """
    assert data.c_contiguous  # The library does not check, and would cut other bytes.
    assert average_bytes.bit_count() == 1
    assert LEAST_AVERAGE_BYTES <= average_bytes <= MOST_AVERAGE_BYTES
    most_bytes = SPREAD * average_bytes
    chunker = FastCDC(
        average_bytes,
        min_size=average_bytes // SPREAD,
        max_size=most_bytes,
        normalized_chunking=_NORMALIZATION,
    )
    ends = [chunk.offset + chunk.length for chunk in chunker.cut_buf(data)]
    if is_end or not ends:
        return ends
    *certain, last = ends
    last_size = last - (certain[-1] if certain else 0)
    return ends if last_size == most_bytes else certain  # Otherwise it may go on in the next piece.

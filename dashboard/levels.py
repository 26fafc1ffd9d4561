"""Which chunks a holder has, in as many columns as a picture has room for. Draws nothing."""

import base64
import itertools

MOST_COLUMNS = 256
FULL = 255


def columns(chunk_count: int) -> int:
    """Return in how many columns so many chunks are shown."""
    return min(chunk_count, MOST_COLUMNS)


def levels(have: bytes, chunk_count: int) -> str:
    """Return how full each column is, from 0 to 255: a byte for each, in base64.

    Args:
        have: the chunks that are there, as protocol.bitmap has them.
        chunk_count: how many there are.
    """
    count = columns(chunk_count)
    bits = f"{int.from_bytes(have, 'little'):b}"[::-1].ljust(chunk_count, "0")
    bounds = [place * chunk_count // count for place in range(count + 1)]
    filled = (
        FULL * bits.count("1", first, end) // (end - first)
        for first, end in itertools.pairwise(bounds)
    )
    return base64.b64encode(bytes(filled)).decode()

"""How far two nodes are from each other, on which all agree: it is drawn from their names.

It says nothing of the network. The tracker names the nearest holders, and nodes ask the nearest.
"""

import functools

from blake3 import blake3

KEPT_NAMES = 1 << 14
BITS = 64
ODD = 0x9E3779B97F4A7C15  # 2^64 by the golden ratio (Knuth, TAOCP 3, 6.4): spreads what is alike.


def distance(one: str, other: str) -> int:
    """Return how far two nodes are from each other, from 0 to 2^64 - 1."""
    return (_place(one) ^ _place(other)) * ODD & (1 << BITS) - 1


@functools.lru_cache(KEPT_NAMES)
def _place(node: str) -> int:
    return int.from_bytes(blake3(node.encode()).digest(BITS // 8), "big")

"""How far two nodes are from each other: a hash of their names, so all nodes agree on it.

It says nothing about the network. The tracker names the nearest holders, and nodes ask the nearest.
"""

from blake3 import blake3


def distance(one: str, other: str) -> int:
    """Return how far two nodes are from each other, from 0 to 2^64 - 1."""
    pair = f"{one}\n{other}" if one < other else f"{other}\n{one}"
    return int.from_bytes(blake3(pair.encode()).digest(8), "big")

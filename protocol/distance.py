"""How far two nodes are from each other, on which all agree: it is drawn from their names.

It says nothing of the network. The tracker names the nearest holders, and nodes ask the nearest.
"""

from blake3 import blake3


def distance(one: str, other: str) -> int:
    """Return how far two nodes are from each other, from 0 to 2^64 - 1."""
    pair = f"{one}\n{other}" if one < other else f"{other}\n{one}"
    return int.from_bytes(blake3(pair.encode()).digest(8), "big")

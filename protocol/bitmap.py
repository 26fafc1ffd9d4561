"""Sets of chunk indices as whole numbers: bit i stands for chunk i. Not a container class.

Python's integers do set algebra on 32,768 chunks in a fraction of a microsecond, which is what the
scheduler does for each request. On the wire a set is the number's little-endian bytes.
"""

from collections.abc import Iterable, Iterator


def full(count: int) -> int:
    """Return the set of all chunks 0 … count - 1."""
    return (1 << count) - 1


def of(indices: Iterable[int]) -> int:
    """Return the set that holds `indices`."""
    bits = 0
    for index in indices:
        bits |= 1 << index
    return bits


def lowest(bits: int) -> int:
    """Return the lowest index in a set that is not empty."""
    return (bits & -bits).bit_length() - 1


def nth(bits: int, number: int) -> int:
    """Return the index that has `number` lower ones in the set, which holds more than that."""
    index, width = 0, bits.bit_length()
    while width > 1:
        half = width // 2
        lower = bits & full(half)
        count = lower.bit_count()
        if number < count:
            bits, width = lower, half
        else:
            bits, width = bits >> half, width - half
            number, index = number - count, index + half
    return index


def indices(bits: int) -> Iterator[int]:
    """Yield the indices in the set, lowest first."""
    while bits:
        bit = bits & -bits
        yield bit.bit_length() - 1
        bits ^= bit


def to_bytes(bits: int, count: int) -> bytes:
    """Return the set as ceil(count / 8) bytes, chunk 0 in the lowest bit of the first."""
    return bits.to_bytes((count + 7) // 8, "little")


def from_bytes(data: bytes, count: int) -> int:
    """Return the set in `data`, without bits beyond `count`."""
    bits = int.from_bytes(data, "little")
    return bits if bits.bit_length() <= count else bits & full(count)

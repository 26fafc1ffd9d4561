"""What a decoder is to the fuzzer."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

Read = Callable[[bytes], object]


class Decoder(NamedTuple):
    """One decoder. `open_in` makes it, given a folder of its own to put files in."""

    seeds: tuple[bytes, ...]
    open_in: Callable[[Path], Read]
    refusals: tuple[type[Exception], ...]
    most_bytes: int = 1 << 20  # Of an input; what is longer is refused unread, or is not tried.


def pure(
    seeds: tuple[bytes, ...], read: Read, *refusals: type[Exception], most_bytes: int = 1 << 20
) -> Decoder:
    """Return a decoder that needs no files."""
    return Decoder(seeds, lambda _: read, refusals, most_bytes)

"""Sources cut by their content: as if all were cut at once, by one thread."""

import itertools
import random

import pytest

from node import cut_source as module
from node.content_cut import SPREAD, cut_points
from node.cut_source import average_for, cut_source
from node.whole import Signature
from protocol.manifest import PLAIN_MODE, TREE_MODE

KIB, MIB = 1 << 10, 1 << 20


class Bytes:
    """A source whose bytes are here."""

    def __init__(self, data: bytes, listing_bytes: int = 0) -> None:
        mode = TREE_MODE if listing_bytes else PLAIN_MODE
        self.signature = Signature(len(data) - listing_bytes, 0, 0, mode)
        self.listing_bytes = listing_bytes
        self.size_bytes = len(data)
        self._data = data

    def cut(self) -> list[int]:
        raise AssertionError("not by sizes")

    def read(self, offset: int, size_bytes: int) -> bytes:
        return self._data[offset : offset + size_bytes]


def noise(size_bytes: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def chunks(data: bytes, listing_bytes: int = 0) -> list[bytes]:
    return list(map(bytes, cut_source(Bytes(data, listing_bytes))))


def at_once(data: bytes) -> list[bytes]:
    ends = cut_points(memoryview(data), average_for(len(data)), is_end=True)
    return [data[start:end] for start, end in itertools.pairwise([0, *ends])]


@pytest.mark.parametrize("size_bytes", [0, 1, 255, 256, 10_000, MIB, 5 * MIB + 1, 40 * MIB + 3])
def test_cuts_as_if_all_were_cut_at_once(size_bytes: int) -> None:
    data = noise(size_bytes)
    assert chunks(data) == at_once(data)


@pytest.mark.parametrize("read_bytes", [2 * MIB, 3 * MIB + 1, 9 * MIB])
@pytest.mark.parametrize("kind", ["noise", "zeros", "both"])
def test_the_pieces_and_the_halves_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch, read_bytes: int, kind: str
) -> None:
    monkeypatch.setattr(module, "READ_BYTES", read_bytes)
    zeros = bytes(3 * MIB)  # No cut but by size: the two threads never find the same.
    parts = {
        "noise": noise(20 * MIB),
        "zeros": zeros * 6,
        "both": noise(MIB) + zeros + noise(MIB, 2),
    }
    data = parts[kind] + b"the end"
    assert chunks(data) == at_once(data)


def test_a_listing_is_cut_by_sizes() -> None:
    listing, files = noise(600 * KIB), noise(MIB, 2)
    found = chunks(listing + files, len(listing))
    assert list(map(len, found[:3])) == [256 * KIB, 256 * KIB, 88 * KIB]
    assert found[3:] == at_once(files)
    assert chunks(listing, len(listing)) == found[:3]


def test_what_is_inserted_moves_only_the_cuts_near_it() -> None:
    data = noise(40 * MIB)
    before, after = set(chunks(data)), chunks(b"x" * 1000 + data)
    assert sum(len(chunk) for chunk in after if chunk not in before) < 0.03 * len(data)


def test_the_average_follows_the_size_in_few_steps() -> None:
    assert average_for(0) == average_for(4 * MIB) == 16 * KIB
    assert average_for(4 * MIB + 1) == average_for(256 * MIB) == 128 * KIB
    assert average_for(1 << 30) == average_for(16 << 30) == MIB
    assert average_for((16 << 30) + 1) == average_for(module.MOST_CONTENT_BYTES) == 4 * MIB
    assert 2 * SPREAD * average_for(1 << 40) <= module.READ_BYTES

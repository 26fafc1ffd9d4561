"""Sources cut by their content: as if all were cut at once, by one thread."""

import errno
import itertools
import random

import pytest
from blake3 import blake3
from shoal.node.files.signature import GoneError, Signature
from shoal.node.folder import cut_source as module
from shoal.node.folder.cut_source import ContentCut, average_for
from shoal.node.folder.source import Stretch
from shoal.protocol.content_cutting import cut_points
from shoal.protocol.manifest import PLAIN_MODE, TREE_MODE

KIB, MIB = 1 << 10, 1 << 20


class Bytes:
    """A source whose bytes are here."""

    path = ""

    def __init__(self, data: bytes, listing_bytes: int = 0) -> None:
        mode = TREE_MODE if listing_bytes else PLAIN_MODE
        self.signature = Signature(len(data) - listing_bytes, 0, 0, mode)
        self.listing_bytes = listing_bytes
        self.size_bytes = len(data)
        self.gone_at = len(data) + 1
        self._data = data

    def cut(self) -> list[int]:
        raise AssertionError("not by sizes")

    def read(self, offset: int, size_bytes: int) -> bytes:
        return self._data[offset : offset + size_bytes]

    def read_doubtful(self, offset: int, size_bytes: int) -> bytes:
        return self.read(offset, size_bytes)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset >= self.gone_at:
            raise GoneError("it changed")
        buffer[:] = self.read(offset, len(buffer))

    def stretches(self, offset: int, size_bytes: int) -> list[Stretch]:
        return [Stretch("", self.signature.fits, offset, size_bytes)]


def noise(size_bytes: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def digest(data: bytes | memoryview) -> bytes:
    return blake3(data).digest()


def chunks(data: bytes, listing_bytes: int = 0) -> list[bytes]:
    sizes, digests = ContentCut(Bytes(data, listing_bytes), digest).run()
    ends = itertools.accumulate(sizes, initial=0)
    found = [data[start:end] for start, end in itertools.pairwise(ends)]
    assert b"".join(map(digest, found)) == digests
    assert sum(sizes) == len(data)
    return found


def at_once(data: bytes) -> list[bytes]:
    ends = cut_points(memoryview(data), average_for(len(data)), is_end=True)
    return [data[start:end] for start, end in itertools.pairwise([0, *ends])]


@pytest.mark.parametrize("size_bytes", [0, 1, 255, 256, 10_000, MIB, 5 * MIB + 1, 40 * MIB + 3])
def test_cuts_as_if_all_were_cut_at_once(size_bytes: int) -> None:
    data = noise(size_bytes)
    assert chunks(data) == at_once(data)


@pytest.mark.parametrize("piece_bytes", [MIB, 2 * MIB, 3 * MIB + 1, 9 * MIB])
@pytest.mark.parametrize("kind", ["noise", "zeros", "both"])
def test_the_pieces_leave_no_trace(
    monkeypatch: pytest.MonkeyPatch, piece_bytes: int, kind: str
) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", piece_bytes)
    zeros = bytes(3 * MIB)  # Cuts by size alone: guessed ones are never right.
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


@pytest.mark.parametrize("gone_at", [0, 3 * MIB, 19 * MIB])
def test_a_thread_that_fails_ends_them_all(monkeypatch: pytest.MonkeyPatch, gone_at: int) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", MIB)
    source = Bytes(noise(20 * MIB))
    source.gone_at = gone_at
    with pytest.raises(GoneError):
        ContentCut(source, digest).run()


@pytest.mark.parametrize("broken_at", [0, 3 * MIB, 19 * MIB])
def test_the_cause_is_told_and_not_that_others_stopped(
    monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", MIB)

    class Broken(Bytes):
        def read_into(self, offset: int, buffer: memoryview) -> None:
            if offset >= broken_at:
                raise OSError(errno.EIO, "Input/output error")
            super().read_into(offset, buffer)

    with pytest.raises(OSError, match="Input/output error"):
        ContentCut(Broken(noise(20 * MIB)), digest).run()

"""Cuts that the content makes: they cover everything, and pieces and insertions leave them be."""

import itertools

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol.content_cutting import (
    LEAST_AVERAGE_BYTES,
    MOST_AVERAGE_BYTES,
    SPREAD,
    cut_points,
)

AVERAGE = LEAST_AVERAGE_BYTES
LEAST, MOST = AVERAGE // SPREAD, AVERAGE * SPREAD
KIB, MIB = 1 << 10, 1 << 20


def noise(seed: int, size: int) -> bytes:
    return blake3(seed.to_bytes(8, "big")).digest(length=size)


def blend(seed: int, size: int, mask: int) -> bytes:
    """Return noise of which only the bits of `mask` are left: with none, nothing says to cut."""
    return bytes(byte & mask for byte in noise(seed, size))


STREAMS = st.builds(
    blend, st.integers(0, 2**64 - 1), st.integers(0, 20 * AVERAGE), st.sampled_from([0, 1, 3, 255])
)


def cuts(data: bytes, average: int = AVERAGE) -> list[int]:
    return cut_points(memoryview(data), average, is_end=True)


def cuts_in_pieces(data: bytes, piece_sizes: list[int]) -> list[int]:
    found: list[int] = []
    start = end = 0
    for size in itertools.cycle(piece_sizes):
        end = min(end + size, len(data))
        given_now = memoryview(data)[start:end]
        found += [start + cut for cut in cut_points(given_now, AVERAGE, is_end=end == len(data))]
        start = found[-1] if found else 0
        assert end - start < MOST
        if end == len(data):
            break
    return found


def chunks(data: bytes, average: int) -> list[bytes]:
    return [data[start:end] for start, end in itertools.pairwise([0, *cuts(data, average)])]


@given(STREAMS)
def test_covers_everything_in_order(data: bytes) -> None:
    found = cuts(data)
    assert found[-1:] == ([len(data)] if data else [])
    assert found == sorted(set(found))


@given(STREAMS)
def test_keeps_to_the_least_and_the_most(data: bytes) -> None:
    *sizes, last = (len(chunk) for chunk in chunks(data, AVERAGE)) if data else [0]
    assert all(LEAST <= size <= MOST for size in sizes)
    assert last <= MOST


@given(STREAMS, st.lists(st.integers(1, 3 * MOST), min_size=1, max_size=5))
def test_cuts_in_pieces_as_at_once(data: bytes, piece_sizes: list[int]) -> None:
    assert cuts_in_pieces(data, piece_sizes) == cuts(data)


@given(STREAMS, st.integers(0, 20 * AVERAGE))
def test_is_certain_whatever_comes_after(data: bytes, length: int) -> None:
    certain = cut_points(memoryview(data)[:length], AVERAGE, is_end=False)
    assert certain == cuts(data)[: len(certain)]
    assert length < MOST or len(data) < MOST or certain


def test_nothing_has_no_cuts() -> None:
    assert cuts(b"") == []
    assert cut_points(memoryview(b""), AVERAGE, is_end=False) == []


def test_cuts_what_never_changes_into_the_largest_chunks() -> None:
    assert cuts(bytes(2 * MOST + 5)) == [MOST, 2 * MOST, 2 * MOST + 5]
    assert cut_points(memoryview(bytes(2 * MOST)), AVERAGE, is_end=False) == [MOST, 2 * MOST]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_put_in_front_leaves_nearly_all_chunks_as_they_were(seed: int) -> None:
    data = noise(seed, MIB)
    were = set(chunks(data, KIB))
    changed = [chunk for chunk in chunks(b"x" * (1 + 50 * seed) + data, KIB) if chunk not in were]
    assert 0 < sum(map(len, changed)) <= 0.01 * MIB


@pytest.mark.parametrize("average", [KIB, 16 * KIB])
def test_is_near_the_average(average: int) -> None:
    assert 0.8 < 400 * average / len(cuts(noise(1, 400 * average), average)) / average < 1.3


def test_has_these_cuts_for_ever() -> None:  # Else an update of the library changes every id.
    assert cuts(noise(0, 10 * KIB), KIB) == [1133, 2268, 3592, 4831, 7236, 9020, 10240]
    assert cuts(noise(0, 4 * MIB), MIB) == [1080593, 2416477, 3840082, 4 * MIB]


def test_lets_go_of_the_bytes() -> None:
    data = bytearray(noise(0, 10 * KIB))
    with memoryview(data) as view:
        assert cut_points(view, KIB, is_end=True)
    data.clear()  # Would raise a BufferError.


@pytest.mark.parametrize("average", [0, AVERAGE // 2, AVERAGE + 4, 2 * MOST_AVERAGE_BYTES])
def test_takes_no_average_that_the_library_does_not(average: int) -> None:
    with pytest.raises(AssertionError):
        cuts(b"x", average)


def test_takes_no_bytes_with_gaps() -> None:
    with pytest.raises(AssertionError):
        cut_points(memoryview(b"0123")[::2], AVERAGE, is_end=True)

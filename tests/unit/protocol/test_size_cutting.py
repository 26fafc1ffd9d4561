"""Where things are cut: the rule for chunk sizes, for files and for trees."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol.manifest import MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_SIZE_BYTES
from shoal.protocol.size_cutting import chunk_size_for, file_cut, tree_cut

KIB = 1 << 10
MIB = 1 << 20
SIZES = st.integers(0, 4096) | st.integers(0, 40 * MIB) | st.integers(0, MAX_SIZE_BYTES)


def drawn(sizes: list[int]) -> str:
    """Return the chunk sizes as text, neighbours of one size together."""
    runs = [(size, len(list(same))) for size, same in itertools.groupby(sizes)]
    return " + ".join(f"{count} x {size}" for size, count in runs)


@pytest.mark.parametrize(
    ("size_bytes", "chunks"),
    [
        (0, ""),
        (1, "1 x 1"),
        (2, "2 x 1"),
        (3, "1 x 2 + 1 x 1"),
        (371, "1 x 186 + 1 x 185"),
        (511, "1 x 256 + 1 x 255"),
        (512, "2 x 256"),
        (513, "2 x 256 + 1 x 1"),
        (2048, "8 x 256"),
        (2049, "7 x 257 + 1 x 250"),
        (MIB - 1, "7 x 131072 + 1 x 131071"),
        (MIB, "8 x 131072"),
        (MIB + 1, "8 x 131072 + 1 x 1"),
        (32 * MIB, "256 x 131072"),
        (32 * MIB + 1, "204 x 163840 + 1 x 131073"),
        (64 * MIB, "409 x 163840 + 1 x 98304"),
        (160 * MIB, "1024 x 163840"),
        (160 * MIB + 1, "640 x 262144 + 1 x 1"),
        (256 * MIB, "1024 x 262144"),
        (256 * MIB + 1, "512 x 524288 + 1 x 1"),
        (1024 * MIB - 1, "1023 x 1048576 + 1 x 1048575"),
        (1024 * MIB, "1024 x 1048576"),
        (1024 * MIB + 1, "256 x 4194304 + 1 x 1"),
        (2 << 30, "512 x 4194304"),
        (128 << 30, "32768 x 4194304"),
        ((128 << 30) + 1, "16384 x 8388608 + 1 x 1"),
        (MAX_SIZE_BYTES, f"{MAX_CHUNKS} x {64 * MIB}"),
    ],
)
def test_cuts_a_file_into_chunks(size_bytes: int, chunks: str) -> None:
    assert drawn(file_cut(size_bytes)) == chunks


@given(SIZES)
def test_the_chunk_size_keeps_its_limits(size_bytes: int) -> None:
    chunk_size_bytes, count = chunk_size_for(size_bytes), len(file_cut(size_bytes))
    assert 1 <= chunk_size_bytes <= MAX_CHUNK_BYTES
    assert count <= MAX_CHUNKS
    assert count <= 2 or chunk_size_bytes >= 256
    assert count > 1 or size_bytes < 2  # What can be shared out is.


@given(SIZES)
def test_the_chunks_are_the_file(size_bytes: int) -> None:
    assert sum(file_cut(size_bytes)) == size_bytes


@pytest.mark.parametrize("size_bytes", [MAX_SIZE_BYTES + 1, 2**63, 2**200])
def test_refuses_a_file_that_is_too_large(size_bytes: int) -> None:
    with pytest.raises(ValueError, match="is larger than"):
        file_cut(size_bytes)
    with pytest.raises(ValueError, match="is larger than"):
        tree_cut(9, [1, size_bytes])


@pytest.mark.parametrize(
    ("listing_bytes", "file_sizes", "chunks"),
    [
        (9, [], "1 x 9"),
        (300 * KIB, [0, 0], f"1 x {256 * KIB} + 1 x {44 * KIB}"),
        (9, [4 * KIB] * 20_000, "1 x 9 + 312 x 262144 + 1 x 131072"),  # Small files share chunks, …
        (9, [1] * 600, "1 x 9 + 2 x 256 + 1 x 88"),  # … but not too many one.
        (9, [0] * 600 + [2] * 300, "1 x 9 + 2 x 256 + 1 x 88"),
        (9, [MIB, 2 * MIB], "1 x 9 + 12 x 262144"),
        (9, [5, 2 * MIB + 1, 6, 7], "1 x 9 + 1 x 5 + 8 x 262144 + 1 x 1 + 1 x 13"),
        (9, [128 << 30, 1], f"1 x 9 + 16384 x {8 * MIB} + 1 x 1"),
    ],
)
def test_cuts_a_tree_into_chunks(listing_bytes: int, file_sizes: list[int], chunks: str) -> None:
    assert drawn(tree_cut(listing_bytes, file_sizes)) == chunks


@given(st.integers(1, MIB), st.lists(st.integers(0, 20 * MIB) | st.integers(0, 5), max_size=20))
def test_the_chunks_are_the_tree(listing_bytes: int, file_sizes: list[int]) -> None:
    cut = tree_cut(listing_bytes, file_sizes)
    assert sum(cut) == listing_bytes + sum(file_sizes)
    assert listing_bytes in itertools.accumulate(cut)
    assert all(0 < size <= MAX_CHUNK_BYTES for size in cut)


def test_what_changes_in_one_large_file_shifts_nothing_in_the_others() -> None:
    sizes = [40 * MIB, 30 * MIB, 50 * MIB]
    before, after = tree_cut(9, sizes), tree_cut(9, [sizes[0], sizes[1] + 1, sizes[2]])
    assert after == [*before[:281], 1, *before[281:]]


def test_refuses_a_tree_with_too_many_chunks() -> None:
    with pytest.raises(ValueError, match="is cut into more than"):
        tree_cut(9, [MAX_CHUNK_BYTES + 1] * (MAX_CHUNKS // 2))

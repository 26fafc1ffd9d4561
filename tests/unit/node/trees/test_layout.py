"""Where a stretch of a thing's bytes lies, against a plain concatenation of its files."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.node.trees.layout import Layout, Piece

SIZES = st.lists(st.integers(0, 5), max_size=8)


def pieces(sizes: list[int], offset: int, size_bytes: int) -> list[Piece]:
    return Layout(sizes).pieces(offset, size_bytes)


@given(SIZES, st.integers(0, 40), st.integers(0, 40))
def test_pieces_are_those_of_a_plain_concatenation(
    sizes: list[int], offset: int, size_bytes: int
) -> None:
    all_bytes = [(file, at) for file, size in enumerate(sizes) for at in range(size)]
    offset = min(offset, len(all_bytes))
    size_bytes = min(size_bytes, len(all_bytes) - offset)
    stretch = all_bytes[offset : offset + size_bytes]
    files = [list(run) for _, run in itertools.groupby(stretch, key=lambda byte: byte[0])]
    assert pieces(sizes, offset, size_bytes) == [(*run[0], len(run)) for run in files]


@given(SIZES)
def test_files_stand_end_to_end(sizes: list[int]) -> None:
    layout = Layout(sizes)
    stretches = [layout.stretch(file) for file in range(len(sizes))]
    assert [end - start for start, end in stretches] == sizes
    assert [start for start, _ in stretches] + [layout.size_bytes] == [
        0,
        *itertools.accumulate(sizes),
    ]


@pytest.mark.parametrize(
    ("offset", "size_bytes", "expected"),
    [
        (0, 30, [(0, 0, 10), (3, 0, 20)]),
        (9, 2, [(0, 9, 1), (3, 0, 1)]),
        (10, 5, [(3, 0, 5)]),  # Not of the empty ones between.
        (0, 10, [(0, 0, 10)]),
        (29, 1, [(3, 19, 1)]),
        (7, 0, []),
        (30, 0, []),
    ],
)
def test_empty_files_have_no_piece(
    offset: int, size_bytes: int, expected: list[tuple[int, int, int]]
) -> None:  # fault 88
    assert pieces([10, 0, 0, 20, 0], offset, size_bytes) == expected


def test_nothing_may_be_laid_out_too() -> None:
    for sizes in ([], [0], [0, 0]):
        assert Layout(sizes).size_bytes == 0
        assert pieces(sizes, 0, 0) == []


def test_takes_as_many_bytes_as_a_thing_may_have() -> None:
    tebi = 1 << 40
    assert pieces([tebi, tebi], tebi - 1, tebi + 1) == [(0, tebi - 1, 1), (1, 0, tebi)]


def test_nothing_lies_beyond_the_end() -> None:
    with pytest.raises(IndexError):
        pieces([10], 5, 10)

"""Bitmaps against Python's own sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shoal.protocol import bitmap

INDICES = st.sets(st.integers(0, 99))


@given(INDICES)
def test_holds_what_was_put_in_lowest_first(indices: set[int]) -> None:
    assert list(bitmap.indices(bitmap.of(indices))) == sorted(indices)


@given(INDICES, INDICES)
def test_does_the_algebra_of_sets(one: set[int], two: set[int]) -> None:
    bits, others = bitmap.of(one), bitmap.of(two)
    assert bits & others == bitmap.of(one & two)
    assert bits | others == bitmap.of(one | two)
    assert bits & ~others == bitmap.of(one - two)
    assert bits.bit_count() == len(one)


@given(INDICES.filter(bool))
def test_lowest_is_the_smallest(indices: set[int]) -> None:
    assert bitmap.lowest(bitmap.of(indices)) == min(indices)


@given(INDICES)
def test_the_nth_is_that_in_order(indices: set[int]) -> None:
    bits = bitmap.of(indices)
    assert [bitmap.nth(bits, number) for number in range(len(indices))] == sorted(indices)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 32_768])
def test_full_holds_each_chunk(count: int) -> None:
    assert bitmap.full(count) == bitmap.of(range(count))
    assert len(bitmap.to_bytes(bitmap.full(count), count)) == (count + 7) // 8


@given(INDICES)
def test_survives_the_wire(indices: set[int]) -> None:
    bits = bitmap.of(indices)
    assert bitmap.from_bytes(bitmap.to_bytes(bits, 100), 100) == bits


@pytest.mark.parametrize(
    ("drawn", "data"),
    [("1", "01"), ("01", "02"), ("00000001", "80"), ("000000001", "0001"), ("1010000001", "0502")],
)
def test_chunk_0_is_the_lowest_bit_of_the_first_byte(drawn: str, data: str) -> None:
    bits = bitmap.of(index for index, bit in enumerate(drawn) if bit == "1")
    assert bitmap.to_bytes(bits, len(drawn)).hex() == data


@given(st.binary(max_size=64), st.integers(0, 100))
def test_cuts_what_a_peer_says_to_the_chunks_that_there_are(data: bytes, count: int) -> None:
    assert bitmap.from_bytes(data, count) <= bitmap.full(count)


def test_no_bytes_say_no_chunks() -> None:
    assert bitmap.from_bytes(b"", 100) == 0

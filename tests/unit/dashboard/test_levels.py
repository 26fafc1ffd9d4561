"""How full each column is."""

import base64

from hypothesis import given
from hypothesis import strategies as st
from shoal.dashboard.levels import FULL, MOST_COLUMNS, columns, levels
from shoal.protocol import bitmap


def told(bits: int, count: int) -> list[int]:
    return list(base64.b64decode(levels(bitmap.to_bytes(bits, count), count)))


def test_few_chunks_have_a_column_each() -> None:
    assert told(0b0101, 4) == [FULL, 0, FULL, 0]


def test_many_chunks_share_columns() -> None:
    count = 4 * MOST_COLUMNS
    assert told(0b0111_1111, count) == [FULL, FULL * 3 // 4, *[0] * (MOST_COLUMNS - 2)]


def test_what_is_missing_counts_as_zero() -> None:
    assert base64.b64decode(levels(b"", 3)) == bytes(3)


@given(st.data(), st.integers(1, 32_768))
def test_columns_are_full_if_all_is_there_and_only_then(data: st.DataObject, count: int) -> None:
    everything = bitmap.full(count)
    assert told(everything, count) == [FULL] * columns(count)
    missing = data.draw(st.integers(0, count - 1))
    found = told(everything & ~(1 << missing), count)
    assert [level for level in found if level != FULL] == [min(found)]

"""How much comes of what somebody reads, and behind that."""

from shoal.node.scheduling.cursor import MOST_AHEAD_BYTES, WHOLE_AFTER_BYTES, Cursor

MIB = 1 << 20
SIZE = 1 << 40


def test_the_first_read_wants_no_more_than_it_reads() -> None:
    for start in (0, 1000):
        cursor = Cursor(SIZE)
        assert cursor.read(start, 5 * MIB) == (start, start + 5 * MIB)
        assert cursor.read(start + MIB, 4 * MIB) == (start + MIB, start + 5 * MIB)
        assert not cursor.wants_all


def test_more_and_more_comes_ahead_of_one_that_reads_from_the_beginning() -> None:
    cursor = Cursor(SIZE)
    cursor.read(0, MIB)
    assert cursor.read(MIB, MIB) == (MIB, 2 * MIB + 8 * MIB)
    assert cursor.read(5 * MIB, MIB) == (5 * MIB, 6 * MIB + 24 * MIB)
    assert not cursor.wants_all
    offset = WHOLE_AFTER_BYTES
    assert cursor.read(offset, MIB) == (offset, offset + MIB + MOST_AHEAD_BYTES)
    assert cursor.wants_all


def test_one_that_jumps_wants_nothing_else_and_then_little_ahead() -> None:
    cursor = Cursor(SIZE)
    cursor.read(SIZE - 1000, 1000)
    assert cursor.read(8 * MIB, MIB) == (8 * MIB, 9 * MIB)
    assert cursor.read(9 * MIB, MIB) == (9 * MIB, 10 * MIB + MIB // 8)
    assert cursor.read(10 * MIB, MIB) == (10 * MIB, 11 * MIB + MIB // 4)
    assert cursor.read(0, MIB) == (0, MIB)  # It has been elsewhere.
    assert cursor.read(MIB, MIB) == (MIB, 2 * MIB + MIB // 8)
    offset = MIB
    while offset < 2 * WHOLE_AFTER_BYTES:
        offset = cursor.read(offset, MIB)[1]
    assert not cursor.wants_all


def test_one_that_begins_again_has_been_nowhere_else() -> None:
    cursor = Cursor(SIZE)
    cursor.read(0, MIB)
    cursor.read(MIB, MIB)
    assert cursor.read(0, MIB) == (0, MIB)
    assert cursor.read(MIB, MIB) == (MIB, 2 * MIB + 8 * MIB)


def test_of_which_most_is_read_at_a_stretch_all_is_wanted() -> None:
    cursor = Cursor(10 * MIB)
    found = []
    for offset, size_bytes in ((1, 7), (8, 1), (0, 1)):
        cursor.read(offset * MIB, size_bytes * MIB)
        found.append(cursor.wants_all)
    assert found == [False, True, False]


def test_one_that_was_told_how_much_there_is_goes_on_behind_it() -> None:
    cursor = Cursor(SIZE)
    cursor.read(1000, 10)
    cursor.has(9000)
    cursor.has(7)
    assert cursor.read(9000, 10) == (9000, 9010 + 1000)

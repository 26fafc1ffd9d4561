"""How far ahead of a reader its chunks come first."""

from shoal.node.scheduling.cursor import LEAST_AHEAD_BYTES, MOST_AHEAD_BYTES, Cursor


def test_the_first_read_wants_no_more_than_it_reads() -> None:
    assert Cursor().read(1000, 50) == (1000, 1050)


def test_a_reader_that_goes_on_has_more_and_more_come_ahead() -> None:
    cursor = Cursor()
    cursor.read(0, 10)
    assert cursor.read(10, 10) == (10, 20 + LEAST_AHEAD_BYTES)
    assert cursor.read(20, 10) == (20, 30 + 2 * LEAST_AHEAD_BYTES)
    reads = [cursor.read(offset, 10) for offset in range(30, 200, 10)]
    assert reads[-1] == (190, 200 + MOST_AHEAD_BYTES)


def test_one_that_skips_a_little_goes_on() -> None:
    cursor = Cursor()
    cursor.read(0, 10)
    cursor.read(10, 10)
    assert cursor.read(5000, 10) == (5000, 5010 + 2 * LEAST_AHEAD_BYTES)


def test_one_that_jumps_begins_anew() -> None:
    cursor = Cursor()
    cursor.read(0, 10)
    cursor.read(10, 10)
    assert cursor.read(1 << 30, 10) == (1 << 30, (1 << 30) + 10)
    assert cursor.read(0, 10) == (0, 10)


def test_to_ask_for_the_same_again_changes_nothing() -> None:
    cursor = Cursor()
    cursor.read(0, 10)
    before = cursor.read(10, 10)
    assert cursor.read(10, 10) == before


def test_one_that_was_told_how_much_there_is_goes_on_behind_it() -> None:
    cursor = Cursor()
    cursor.read(0, 10)
    cursor.has(5_000_000)
    assert cursor.read(5_000_000, 10) == (5_000_000, 5_000_010 + LEAST_AHEAD_BYTES)
    cursor.has(7)
    assert cursor.read(5_000_010, 10)[1] == 5_000_020 + 2 * LEAST_AHEAD_BYTES

"""Tables that fit a terminal, and plain ones for scripts."""

import pytest
from rich.cells import cell_len
from shoal.commands import table

HEADS = ["NAME", "SIZE", "ID", "HOLDERS"]
LONG = "a-very-long-name-of-a-thing-that-nobody-would-type-by-hand.bin"
ROWS = [
    HEADS,
    ["a", "1 B", "b3:0123456789ab", "n1"],
    [LONG, "1.5 GB", "b3:0123456789ac", "n1 n2 n3 n4 n5 n6 n7 n8 n9"],
]


def test_a_plain_table_has_columns_and_no_trailing_space() -> None:
    rows = [["NAME", "SIZE"], ["a", "1 B"], ["longer", ""]]
    assert table.plain(rows) == "NAME    SIZE\na       1 B\nlonger"


def test_one_long_name_does_not_pad_the_others() -> None:
    lines = table.plain(ROWS).splitlines()
    assert len(lines[1]) < 80
    assert lines[2].split()[:2] == [LONG, "1.5"]  # Whole: scripts read it.


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_table_fits_its_terminal(width: int) -> None:
    shown = table.fitted(ROWS, width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    assert "b3:0123456789ab" in shown
    assert "b3:0123456789ac" in shown
    assert all(node in shown for node in ROWS[2][3].split())
    assert (LONG in shown) is (width == 120)
    assert shown.count("…") == (0 if width == 120 else 1)


def test_a_narrow_terminal_goes_without_what_matters_least() -> None:
    wide = table.fitted(ROWS, 120, optional=(1, 2))
    narrow = table.fitted(ROWS, 30, optional=(1, 2))
    assert ("SIZE" in wide, "SIZE" in narrow) == (True, False)
    assert "HOLDERS" in narrow


@pytest.mark.parametrize(
    "name", ["a[/b].bin", "[bold]x[/bold]", "[link=http://x]a[/link]", ":smile:"]
)
def test_nothing_is_taken_for_markup(name: str) -> None:
    shown = table.fitted([["NAME", "SIZE"], [name, "1 B"]], 60)
    assert name in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("text", "cells", "expected"),
    [
        ("short", 5, "short"),
        ("0123456789", 7, "012…789"),
        ("日本語のなまえ", 8, "日本…まえ"[:5]),
    ],
)
def test_a_text_is_cut_in_the_middle(text: str, cells: int, expected: str) -> None:
    cut = table.shortened(text, cells)
    assert cell_len(cut) <= cells
    assert cut[0] == expected[0]
    assert cut[-1] == text[-1]
    if text.isascii():
        assert cut == expected

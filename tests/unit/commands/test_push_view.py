"""What people see of a push."""

import pytest
from rich.cells import cell_len
from shoal.commands.push_view import drawn, summary, words
from shoal.protocol.pushing import Verdict

SIZE = 1_000_000_000
HALF = Verdict("pc1", "fetching", SIZE // 2, 10_000_000)
FULL = Verdict("pc3", "failed", reason="the disk is full; free some space", retry_s=40)
DONE = [Verdict(f"pc{number}", "done", SIZE) for number in range(10, 47)]
OFF = [Verdict("pc5", "offline"), Verdict("pc6", "offline")]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (HALF, "50 % at 10.0 MB/s, 50 s left"),
        (Verdict("n", "fetching", SIZE), "100 %"),
        (FULL, "failed: the disk is full; free some space; again in 40 s"),
        (Verdict("n", "failed", reason="no"), "failed: no"),
        (Verdict("n", "hashing", SIZE // 4), "hashing, 25 %"),
        (DONE[0], "has it"),
        (Verdict("n", "waiting"), "waiting"),
        (OFF[0], "offline"),
    ],
)
def test_says_how_far_a_node_is(verdict: Verdict, expected: str) -> None:
    assert words(verdict, SIZE) == expected


def test_an_empty_thing_is_no_division_by_zero() -> None:
    assert words(Verdict("n", "fetching"), 0) == "0 %"


def test_one_line_tells_all() -> None:
    verdicts = [*OFF, FULL, *DONE]
    expected = "37 of 40 have it; pc3: the disk is full; pc5, pc6: off"
    assert summary(verdicts) == expected


def test_the_line_is_short_however_many_there_are() -> None:
    verdicts = [
        Verdict(f"n{number:03}", "failed", reason=f"reason {number % 7} " + "x" * 100)
        for number in range(700)
    ]
    line = summary(verdicts)
    assert "n000, n007, n014, n021, n028 and 95 more: reason 0 " in line
    assert line.endswith("; 300 more have failed")
    assert len(line) < 600


def test_what_others_say_cannot_draw_on_the_terminal() -> None:
    evil = Verdict("n1", "failed", reason="\x1b]8;;http://x\x07[link]\u202etxt\n")
    for text in (words(evil, SIZE), summary([evil]), drawn([evil], SIZE, 80, 24)):
        assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("height", [5, 24, 60])
def test_the_table_fits_the_terminal(width: int, height: int) -> None:
    verdicts = [HALF, FULL, *OFF, *DONE]
    lines = drawn(verdicts, SIZE, width, height).splitlines()
    assert len(lines) <= max(height, 6)
    assert max(map(cell_len, lines)) <= width
    assert lines[0].split() == ["HOST", "STATE"]
    assert lines[1].startswith("pc3")  # What has failed comes first.


def test_nobody_is_left_out_unsaid() -> None:
    verdicts = [FULL, *DONE]
    assert "… and 18 more" in drawn(verdicts, SIZE, 80, 24).splitlines()

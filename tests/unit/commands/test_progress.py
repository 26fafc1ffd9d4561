"""What is said while a fetch goes on, where no terminal shows a bar."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from shoal.commands import progress
from shoal.commands.progress import ProgressView
from shoal.protocol.control import Working

HALF = Working("a\x1b.bin", 50_000, 100_000, 1)


def test_a_line_is_said_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with ProgressView(quiet=False) as view:
        view.show(HALF)
        view.show(Working("a.bin", 0, None, 0))  # Nothing is known yet.
    assert capsys.readouterr().err == "a\\x1b.bin: 50 %, 50.0 kB of 100.0 kB, 1 holder\n"


def test_what_is_not_about_holders_does_not_count_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with ProgressView(quiet=False) as view:
        view.show(Working("a.bin", 50_000, 100_000, None))
    assert capsys.readouterr().err == "a.bin: 50 %, 50.0 kB of 100.0 kB\n"


def test_a_short_fetch_needs_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(quiet=False) as view:
        view.show(HALF)
    assert capsys.readouterr().err == ""


def test_quiet_is_quiet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with ProgressView(quiet=True) as view:
        view.show(HALF)
    assert capsys.readouterr().err == ""


def test_holders_are_counted_in_proper_words() -> None:
    counts = [progress._holders(Working("a", 0, 1, count)) for count in (None, 0, 1, 2)]
    assert counts == ["", "0 holders", "1 holder", "2 holders"]


ON_A_TERMINAL = """
from shoal.commands.progress import ProgressView
from shoal.protocol.control import Working
with ProgressView(quiet=False) as view:
    view.show(Working({name!r}, 50_000, 100_000, 1))
    {end}
"""


@pytest.mark.parametrize(
    ("end", "last"), [("pass", b"100.0/100.0 kB"), ("raise SystemExit", b"50.0/100.0 kB")]
)
def test_a_bar_ends_where_the_work_ended(end: str, last: bytes) -> None:
    shown = _shown("a.bin", 100, end)
    assert shown.rstrip().rpartition(b"a.bin")[2].count(last) == 1


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_long_name_is_cut_and_the_numbers_stay(width: int) -> None:
    name = "a-name-of-forty-characters-or-so-it-is.x"
    lines = [line for line in _shown(name, width).decode().split("\r") if "kB" in line]
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip("\n") for line in lines]
    assert all(cell_len(line.rstrip()) <= width for line in plain)
    assert "100.0/100.0 kB" in plain[-1]
    assert re.search(r"[0-9-]:[0-9-]{2}:[0-9-]{2}", plain[-1])
    assert plain[-1].startswith("a-name-of")
    assert ".x " in plain[-1]


@pytest.mark.parametrize(
    "name", ["a[/b].bin", "[link=http://x.example]seeds.txt[/link]", "[blink]x.bin", "{task}"]
)
def test_a_name_is_no_markup(name: str) -> None:
    shown = _shown(name, 200)
    assert name.encode() in shown
    assert b"\x1b]8" not in shown
    assert b"\x1b[5" not in shown


def _shown(name: str, width: int, end: str = "pass") -> bytes:
    """Return what a bar writes on a terminal."""
    terminal, far_end = pty.openpty()
    program = [sys.executable, "-c", ON_A_TERMINAL.format(name=name, end=end)]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": str(width)}
    root = Path(__file__).parents[3]
    subprocess.run(program, stderr=far_end, cwd=root, env=environ, check=True)
    os.close(far_end)
    shown = b""
    while chunk := _read(terminal):
        shown += chunk
    os.close(terminal)
    return shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # The far end is closed.
        return b""

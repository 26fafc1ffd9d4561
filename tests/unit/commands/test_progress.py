"""What is said while a fetch goes on, where no terminal shows a bar."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from commands import progress
from commands.progress import ProgressView
from protocol.control import Working

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
from commands.progress import ProgressView
from protocol.control import Working
with ProgressView(quiet=False) as view:
    view.show(Working("a.bin", 50_000, 100_000, 1))
    {end}
"""


@pytest.mark.parametrize(
    ("end", "last"), [("pass", b"100.0/100.0 kB"), ("raise SystemExit", b"50.0/100.0 kB")]
)
def test_a_bar_ends_where_the_work_ended(end: str, last: bytes) -> None:
    terminal, far_end = pty.openpty()
    program = [sys.executable, "-c", ON_A_TERMINAL.format(end=end)]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    root = Path(__file__).parents[3]
    subprocess.run(program, stderr=far_end, cwd=root, env=environ, check=True)
    os.close(far_end)
    shown = b""
    while chunk := _read(terminal):
        shown += chunk
    os.close(terminal)
    assert shown.rstrip().rpartition(b"a.bin")[2].count(last) == 1


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # The far end is closed.
        return b""

"""What people and scripts read."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import zmq
from shoal.commands import terminal
from shoal.protocol.errors import DiskError


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1536, "1.5 kB"),
        (2_500_000, "2.5 MB"),
        (3e9, "3.0 GB"),
        (4e12, "4.0 TB"),
        (5e16, "50000.0 TB"),
    ],
)
def test_sizes_are_told_in_steps_of_a_thousand(count: float, text: str) -> None:
    assert terminal.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (3 * 86_400, "3 d")],
)
def test_ages_are_told_in_the_largest_unit(seconds: float, text: str) -> None:
    assert terminal.age(seconds) == text


def fails(error: Exception) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def test_a_failure_is_one_line_and_for_scripts_a_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = DiskError("a\nb\x1b[31m is broken; mend it")
    assert terminal.run(fails(error), as_json=True) == 8
    said = capsys.readouterr()
    assert said.err == "error: a b\\x1b[31m is broken; mend it\n"
    assert json.loads(said.out) == {"error": str(error), "exit_code": 8}


def test_a_bug_is_called_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOAL_DEBUG", raising=False)
    assert terminal.run(fails(KeyError("x"))) == 1
    assert capsys.readouterr().err.startswith("error: this is a bug: KeyError: 'x'; please report")


@pytest.mark.parametrize(
    ("error", "exit_code", "said"),
    [
        (OSError(errno.ENOSPC, "no", "/a/b"), 8, "/a/b: the disk is full; free some space"),
        (OSError(errno.ENAMETOOLONG, "no", b"/a"), 2, "/a: the path is too long; use a shorter"),
        (OSError(errno.EMFILE, "no"), 8, "too many open files; raise the limit: ulimit -n"),
        (OSError(errno.EIO, "Input/output error"), 8, "Input/output error; check the disk"),
        (OSError("without a number"), 8, "without a number; check the disk"),
        (zmq.ZMQError(errno.EMFILE), 8, "too many open files; raise the limit"),
        (sqlite3.OperationalError("database or disk is full"), 8, "the database in the folder of"),
        (MemoryError(), 8, "out of memory; stop some programs"),
    ],
)
def test_what_the_machine_does_is_no_bug(
    capsys: pytest.CaptureFixture[str], error: Exception, exit_code: int, said: str
) -> None:
    assert terminal.run(fails(error)) == exit_code
    assert capsys.readouterr().err.startswith(f"error: {said}")


def test_a_working_directory_that_is_gone_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = 'rmdir "$PWD" && exec "$0" "$1" ls'
    arguments = [sys.executable, str(Path(__file__).parents[3] / "cli.py")]
    environ = {key: value for key, value in os.environ.items() if not key.startswith("SHOAL_")}
    run = subprocess.run(
        ["sh", "-c", command, *arguments], cwd=gone, env=environ, capture_output=True, check=False
    )
    error = b"error: the working directory is gone; change to one that exists\n"
    assert (run.returncode, run.stderr) == (2, error)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["fetch", "--help"], ["nonsense"]]
)
def test_a_stream_that_takes_nothing_brings_no_traceback(arguments: list[str], stream: str) -> None:
    program = [sys.executable, str(Path(__file__).parents[3] / "cli.py"), *arguments]
    kept = "stderr" if stream == "stdout" else "stdout"
    with Path("/dev/full").open("wb") as full:
        streams = {stream: full, kept: subprocess.PIPE}
        run = subprocess.run(program, **streams, check=False)  # type: ignore[call-overload]
    said = run.stderr or run.stdout or b""
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said
    is_lost = stream == "stdout" and arguments != ["nonsense"]
    assert run.returncode == (8 if is_lost else 2 if arguments == ["nonsense"] else 0)


def test_an_interruption_has_its_exit_code() -> None:
    def body() -> None:
        raise KeyboardInterrupt

    assert terminal.run(body) == 130
    assert terminal.run(lambda: None) == 0

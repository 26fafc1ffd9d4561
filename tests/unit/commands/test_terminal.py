"""What people and scripts read."""

import json
from collections.abc import Callable

import pytest

from commands import terminal
from protocol.errors import ExitCode, OperatorError


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


def test_a_table_has_columns_and_no_trailing_space() -> None:
    rows = [["NAME", "SIZE"], ["a", "1 B"], ["longer", ""]]
    assert terminal.table(rows) == "NAME    SIZE\na       1 B\nlonger"


def fails(error: Exception) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


def test_a_failure_is_one_line_and_for_scripts_a_document(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = OperatorError("a\nb\x1b[31m is broken; mend it", ExitCode.DISK)
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


def test_an_interruption_has_its_exit_code() -> None:
    def body() -> None:
        raise KeyboardInterrupt

    assert terminal.run(body) == 130
    assert terminal.run(lambda: None) == 0

"""The lines of the log: text with dates, JSON, and what systemd's journal is given."""

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from shoal.broker.tracking import events
from shoal.commands import logs
from shoal.commands.logs import Format, Level, LogWishes
from shoal.node.orders.fetch_log import FetchLog
from shoal.protocol.control import Fetched, Working
from shoal.protocol.errors import OperatorError

from tests.unit.test_pages import page

log = logging.getLogger("shoal.test")


class Stderr:
    """A file in the place of stderr: pytest puts its own there for each test, so not before."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = path.open("w+")
        self._monkeypatch = monkeypatch

    def set_up(self, level: Level = Level.INFO, form: Format = Format.TEXT) -> None:
        self._monkeypatch.setattr(sys, "stderr", self.file)
        logs.set_up(LogWishes(level, form))

    def lines(self) -> list[str]:
        self.file.seek(0)
        return self.file.read().splitlines()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines()]


@pytest.fixture
def stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stderr]:
    """Stderr, which is no journal; the log is as before afterwards."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    top = logging.getLogger("shoal")
    before = top.handlers[:], top.level, top.propagate
    stderr = Stderr(tmp_path / "log", monkeypatch)
    yield stderr
    stderr.file.close()
    top.handlers[:], top.level, top.propagate = before


def test_a_line_of_text_has_the_date(stderr: Stderr) -> None:
    stderr.set_up()
    log.info("%s\x1b[31m", "news")
    log.warning("trouble")
    log.debug("detail")
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    first, second = stderr.lines()
    assert re.fullmatch(rf"{date} news\\x1b\[31m", first)
    assert re.fullmatch(rf"{date} warning: trouble", second)


@pytest.mark.parametrize(("level", "count"), [*zip(Level, (4, 3, 2, 1), strict=True)])
def test_only_what_is_wished_is_written(stderr: Stderr, level: Level, count: int) -> None:
    stderr.set_up(level)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        log.log(number, "x")
    assert len(stderr.lines()) == count


def test_the_journal_has_the_time_and_is_told_the_level(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = os.fstat(stderr.file.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{place.st_dev}:{place.st_ino}")
    stderr.set_up()
    log.info("news")
    log.warning("trouble")
    stderr.set_up(form=Format.JSON)
    log.error("end")
    *text, last = stderr.lines()
    assert text == ["<6>news", "<4>warning: trouble"]
    assert json.loads(last.removeprefix("<3>"))["message"] == "end"


def test_another_stderr_than_the_journals_has_dates(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    stderr.set_up()
    log.info("news")
    assert stderr.lines()[0].startswith("2")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not logs.goes_to_journal("1:1")


def test_a_line_of_json_has_time_level_logger_and_message(stderr: Stderr) -> None:
    stderr.set_up(form=Format.JSON)
    log.warning("line\n%s", "\u202e")
    (line,) = stderr.told()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "warning", "logger": "shoal.test", "message": "line\\n\\u202e"}


def test_a_traceback_is_there_only_on_request(
    stderr: Stderr, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr.set_up(form=Format.JSON)
    monkeypatch.delenv("SHOAL_DEBUG", raising=False)
    log.error("a bug", exc_info=ValueError("why"))
    monkeypatch.setenv("SHOAL_DEBUG", "1")
    log.error("a bug", exc_info=ValueError("why"))
    first, second = stderr.told()
    assert "traceback" not in first
    assert "ValueError: why" in second["traceback"]


def test_a_fetch_has_a_line_at_its_beginning_and_at_its_end(stderr: Stderr) -> None:
    stderr.set_up(form=Format.JSON)
    fetch = FetchLog("a@0123456789abcdef", is_pushed=True)
    fetch.begin()
    fetch.note(Working("a", 5, 10, 2))
    fetch.failed(OperatorError("nobody\nhas it"))
    end = Fetched("b", "b3:1", 10, 2.0, 8_000_000, 2, {"n1": 3, "n2": 5}, "/b")
    FetchLog("b", is_pushed=False).done(end)
    begun, failed, done = stderr.told()
    assert begun["message"] == "fetching a@0123456789ab, which is pushed"
    assert failed["message"].startswith(
        "fetching a@0123456789ab failed: nobody\\nhas it (5 bytes in 0.0"
    )
    assert (failed["event"], failed["bytes"], failed["reason"]) == (
        "fetch_failed",
        5,
        "nobody\nhas it",
    )
    assert done["message"] == "fetched b: 10 bytes in 2.00 s, 4.0 MB/s from 2 nodes"
    assert (done["bytes_per_s"], done["holders"], done["pushed"]) == (4_000_000, 2, False)


def test_the_page_has_each_event_and_its_fields(stderr: Stderr) -> None:
    stderr.set_up(form=Format.JSON)
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (.+) \|$", page("logs"), re.MULTILINE)
    fields = {
        event: set(re.findall(r"`(\w+)`", words))
        for several, words in rows
        for event in re.findall(r"`(\w+)`", several)
    }
    for kind in get_args(events.Event):
        values = [() if one in {"holders", "offline"} else 0 for one in kind.__struct_fields__]
        log.info("x", extra={"fields": kind(*values)})
    for line in stderr.told():
        common = {"time", "level", "logger", "message", "event"}
        assert line.keys() - common <= fields[line["event"]], line
    assert {line["event"] for line in stderr.told()} | {
        "fetch_begun",
        "fetch_done",
        "fetch_failed",
        "event",
    } == fields.keys() | {"event"}

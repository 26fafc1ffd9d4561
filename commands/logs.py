"""How the processes that stay log, to stderr: text with dates, or JSON, one line for each thing.

What is to be told as fields of a JSON line is in a record's `fields`: a mapping, or one of the
tracker's events.
"""

import enum
import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from shoal.commands import terminal

DATE = "%Y-%m-%d %H:%M:%S"
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}  # syslog's
_WORD = re.compile("(?<!^)(?=[A-Z])")


class Level(enum.StrEnum):
    """From which on lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(enum.StrEnum):
    """What a line is."""

    TEXT = "text"
    JSON = "json"


class LogWishes(NamedTuple):
    """What the command line says of the log."""

    level: Level = Level.INFO
    format: Format = Format.TEXT


def set_up(wishes: LogWishes = LogWishes()) -> None:  # noqa: B008 (immutable)
    """Log like that. Systemd's journal has the time already, and is told the level."""
    is_journal = goes_to_journal(os.environ.get("JOURNAL_STREAM", ""))
    lines: logging.Formatter
    if wishes.format is Format.JSON:
        lines = JsonLines()
    else:
        stamp = "" if is_journal else "%(asctime)s "
        lines = terminal.Lines(f"{stamp}%(levelword)s%(message)s", datefmt=DATE)
    terminal.set_up_log(lines=ForJournal(lines) if is_journal else lines)
    logging.getLogger("shoal").setLevel(wishes.level.value.upper())


def goes_to_journal(stream: str) -> bool:
    """Say whether stderr is what systemd names in $JOURNAL_STREAM: its device and inode."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # It is closed, or no file at all.
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"


class ForJournal(logging.Formatter):
    """Puts before a line what systemd takes as its priority (sd-daemon(3))."""

    def __init__(self, lines: logging.Formatter) -> None:
        super().__init__()
        self._lines = lines

    def format(self, record: logging.LogRecord) -> str:
        return f"<{_PRIORITIES.get(record.levelno, 6)}>{self._lines.format(record)}"


class JsonLines(logging.Formatter):
    """Makes each record one JSON object, in characters that any terminal shows."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),  # RFC 3339.
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": terminal.message_of(record),
        }
        if record.exc_info and os.environ.get("SHOAL_DEBUG") is not None:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(_fields(getattr(record, "fields", None)) | told)


def _fields(fields: object) -> dict[str, Any]:
    """Return the fields of a record; those of an event have its name too, as in holder_added."""
    if isinstance(fields, msgspec.Struct):
        name = _WORD.sub("_", type(fields).__name__).lower()
        return {"event": name, **msgspec.structs.asdict(fields)}
    return dict(fields) if isinstance(fields, dict) else {}

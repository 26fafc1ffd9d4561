"""How the commands print: data to stdout, messages to stderr, JSON on request, errors as a line."""

import io
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, TypeVar

import msgspec
from shoal.commands import exit_codes
from shoal.commands.exit_codes import ExitCode
from shoal.protocol.errors import BugError, DiskError, OperatorError, refused
from shoal.protocol.names import display

T = TypeVar("T")

MOST_LOGGED_CHARACTERS = 1000  # In a line; a name may have 4096.
_STEPS = ("B", "kB", "MB", "GB", "TB")
_THOUSAND = 1000.0


def prepare() -> None:
    """Make the standard streams safe to write to, whatever the shell has done to them.

    A closed one would be given away to the first file or socket that is opened, and what cannot be
    written in the terminal's character set would end the command in the middle of its answer.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest free descriptor: this one.
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)  # None if it was closed.
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def finish() -> None:
    """Flush the standard streams; what cannot be written is dropped.

    Else the interpreter would fail over it at its end, with a traceback and its own exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            _drop(stream)


def set_up_log(*, quiet: bool = False, lines: logging.Formatter | None = None) -> None:
    """Log to stderr, as plain messages if `lines` does not make others of them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(lines or Lines("%(levelword)s%(message)s"))
    log = logging.getLogger("shoal")
    log.handlers[:] = [handler]
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    logging.raiseExceptions = False  # A log that cannot be written must not print a traceback.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # Nobody reads
    logging._srcfile = None  # noqa: SLF001  # them, and they take half of the time.


class Lines(logging.Formatter):
    """Makes each record one line of text, in characters that print."""

    def format(self, record: logging.LogRecord) -> str:
        is_news = record.levelno <= logging.INFO
        record.levelword = "" if is_news else f"{record.levelname.lower()}: "
        if os.environ.get("SHOAL_DEBUG") is None:
            record.exc_info = None  # Tracebacks only on request.
        record.msg, record.args = message_of(record), None
        return super().format(record)


def message_of(record: logging.LogRecord) -> str:
    """Return what a record says, not too long and in characters that print."""
    message = record.getMessage()
    cut = "…" if len(message) > MOST_LOGGED_CHARACTERS else ""
    return display(message[:MOST_LOGGED_CHARACTERS]) + cut


def shown(text: str) -> str:
    """Return `text` in characters that do nothing to a terminal, and the same lines.

    All that is printed passes here, whoever it came from: escape sequences can hide, forge or
    answer, and marks of direction reorder.
    """
    return text if text.isprintable() else "\n".join(map(display, text.split("\n")))


def say(text: str) -> None:
    """Print a message to stderr; what does not print is escaped."""
    if sys.stderr is None:  # It was closed; print would take stdout instead.
        return
    try:
        print(shown(text), file=sys.stderr, flush=True)  # noqa: T201 (this is the place for it)
    except OSError:  # A full disk, or a terminal that is gone.
        _drop(sys.stderr)


def put(text: str) -> None:
    """Print data to stdout; what does not print is escaped.

    Raises:
        OperatorError: it cannot be written where stdout leads.
    """
    try:
        print(shown(text), flush=True)  # noqa: T201 (this is the place for it)
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop(sys.stdout)
        message = f"cannot write to standard output: {error.strerror}"
        raise DiskError(f"{message}; redirect it elsewhere") from None


def _drop(stream: TextIO) -> None:
    """Discard what a stream has buffered, so that exiting does not fail over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def put_json(value: Any) -> None:
    """Print one JSON document."""
    put(json.dumps(msgspec.to_builtins(value), ensure_ascii=True))


def failure(error: OperatorError) -> dict[str, Any]:
    """Return what `--json` prints for a failure."""
    return {"error": str(error), "exit_code": int(exit_codes.of(error))}


def run(body: Callable[[], int | None], *, as_json: bool = False) -> int:
    """Run a command's body; print its failure, and return the exit code."""
    try:
        return int(body() or ExitCode.DONE)
    except OperatorError as error:
        report(error, as_json=as_json)
        return int(exit_codes.of(error))
    except KeyboardInterrupt:
        say("interrupted")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        _drop(sys.stdout)
        return int(ExitCode.DONE)
    except Exception as error:  # noqa: BLE001 (a traceback in front of a user is a bug too)
        trouble = _trouble(error)
        if trouble is not None:
            report(trouble, as_json=as_json)
            return int(exit_codes.of(trouble))
        if os.environ.get("SHOAL_DEBUG"):
            traceback.print_exc()
        bug = f"this is a bug: {type(error).__name__}: {error}"
        remedy = "please report it, with what SHOAL_DEBUG=1 prints"
        report(BugError(f"{bug}; {remedy}"), as_json=as_json)
        return int(ExitCode.BUG)


def _trouble(error: Exception) -> OperatorError | None:
    """Return the error for a failure that is the machine's fault; None if it is a bug."""
    if isinstance(error, OSError) and error.filename is None and not _has_working_directory():
        return OperatorError("the working directory is gone; change to one that exists")
    if isinstance(error, OSError):
        return refused(error)
    if isinstance(error, MemoryError):
        return DiskError("out of memory; stop some programs and run it again")
    number = getattr(error, "errno", None)
    if type(error).__module__.startswith("zmq") and isinstance(number, int):
        return refused(OSError(number, os.strerror(number)))
    if type(error).__module__ == "sqlite3" and type(error).__name__ == "OperationalError":
        message = f"the database in the folder of the node or tracker: {error}"
        return DiskError(f"{message}; check the disk and its permissions")
    return None


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True


def report(error: OperatorError, *, as_json: bool) -> None:
    """Print one failure: for people on stderr, and for scripts on stdout too."""
    say(f"error: {' '.join(display(line) for line in str(error).splitlines())}")
    if as_json:
        put_json(failure(error))


def size(count: float) -> str:
    """Return a number of bytes in readable form: `1.5 GB`."""
    for step in _STEPS[:-1]:
        if count < _THOUSAND:
            return f"{count:.0f} B" if step == "B" else f"{count:.1f} {step}"
        count /= _THOUSAND
    return f"{count:.1f} {_STEPS[-1]}"


def title(name: str, version: int, publisher: str | None) -> str:
    """Return a thing's name with its version, as in `win11.img v3, published by a`."""
    numbered = f"{name} v{version}" if version else name
    return f"{numbered}, published by {publisher}" if publisher else numbered


def age(seconds: float) -> str:
    """Return a time span in readable form: `3 min`."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"

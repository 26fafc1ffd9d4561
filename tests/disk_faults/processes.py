"""Commands as real processes, of which each call that changes the disk can fail or be recorded.

A process that has imported everything forks for each command, which saves the 0.3 s of a start.
"""

import contextlib
import ctypes
import enum
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("shim.c")
LIMIT_S = 60.0  # For a command, on a busy machine.
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


class How(enum.IntEnum):
    """How the chosen call fails, as in shim.c."""

    ONCE = 0
    ALWAYS = 1  # It, and every later one.
    SHORT = 2  # It writes only half; only writes are counted.
    KILL = 3  # The process is killed before it.


class Fault(NamedTuple):
    """Which call of a process fails: the one `at`, counted from 1; 0 fails none."""

    at: int = 0
    number: int = 0  # The errno.
    how: How = How.ONCE


NO_FAULT = Fault()


class Ended(NamedTuple):
    """What a command did."""

    exit_code: int  # Minus the signal's number if a signal ended it.
    stdout: str
    stderr: str
    failed: str  # The call that failed, as in "fsync /…/data"; empty if none did.

    @property
    def errors(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


def why_not() -> str:
    """Return why no calls can be made to fail here; empty if they can."""
    if not sys.platform.startswith("linux"):
        return "this is not Linux"
    return "" if _compiler() else "there is no C compiler here"


def _compiler() -> str | None:
    return shutil.which("gcc") or shutil.which("cc")


def built(folder: Path) -> Path:
    """Compile the library."""
    library, compiler = folder / "shim.so", _compiler()
    assert compiler is not None
    flags = ("-O1", "-fno-delete-null-pointer-checks", "-shared", "-fPIC")
    subprocess.run([compiler, *flags, "-o", library, SOURCE, "-lpthread"], check=True)
    return library


class Warm:
    """A process that forks one command after the other; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        environment = {key: value for key, value in os.environ.items() if "SHOAL" not in key}
        environment |= {"LD_PRELOAD": str(built(folder)), "PYTHONFAULTHANDLER": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.disk_faults.warm"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._answers = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait()

    def run(
        self,
        command: Sequence[str],
        below: Path,
        fault: Fault = NO_FAULT,
        log: Path | None = None,
        until: str = "",
        then: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Run a shoal command to its end; calls that change what is `below` may fail.

        One that stays is told to stop once it has said the words `until`, and `then` is done.
        """
        pid, streams = self._begin(command, below, fault, log)
        timer = threading.Timer(LIMIT_S, _tell, (pid, signal.SIGABRT))
        timer.start()
        try:
            if until and self._has_said(until, streams):
                then()
                _tell(pid, signal.SIGTERM)
            exit_code = self._answer()["exit"]
        finally:
            timer.cancel()
        texts = [stream.read_text(errors="replace") for stream in streams]
        return Ended(exit_code, texts[0], texts[1], texts[2].strip())

    def _begin(
        self, command: Sequence[str], below: Path, fault: Fault, log: Path | None
    ) -> tuple[int, list[Path]]:
        streams = [self._folder / name for name in ("stdout", "stderr", "told")]
        for stream in streams:
            stream.write_bytes(b"")
        order = {
            "command": list(command),
            "streams": [str(stream) for stream in streams[:2]],
            "shim": [str(below), *fault, str(log) if log else None, str(streams[2])],
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return self._answer()["pid"], streams

    def _has_said(self, words: str, streams: list[Path]) -> bool:
        """Wait for the words, or for the end."""
        assert self._process.stdout is not None
        while not any(words in stream.read_text(errors="replace") for stream in streams[:2]):
            if select.select([self._process.stdout], [], [], 0.01)[0]:
                return False
        return True

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        while b"\n" not in self._answers:
            more = self._process.stdout.read(4096)
            assert more, "the process that forks has ended"
            self._answers += more
        line, _, self._answers = self._answers.partition(b"\n")
        return json.loads(line)


def _tell(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # It has just ended by itself.
        os.kill(pid, number)


@contextlib.contextmanager
def warm_in(folder: Path) -> Iterator[Warm]:
    """Give a process that forks commands, with its files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with Warm(folder) as warm:
        yield warm


def begin(shim: Sequence[Any]) -> None:
    """Have the preloaded library begin, in this process."""
    folder, at, number, how, log, told = shim
    texts = [None if one is None else os.fsencode(one) for one in (folder, log, told)]
    library = ctypes.CDLL(None)
    library.disk_faults_begin.argtypes = (
        *(ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_int),
        *(ctypes.c_char_p, ctypes.c_char_p),
    )
    library.disk_faults_begin(texts[0], at, number, how, texts[1], texts[2])


def die_with_parent() -> None:
    """Have this process be killed when the one that started it ends."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)

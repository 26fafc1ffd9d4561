"""Child processes: started here, and every one ended by its own pid. Not what they cost."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[2]  # `python -m tests.benchmark…` and cli.py work from here
STOP_LIMIT_S = 10.0  # twice what a shoal process may take to say goodbye
READY_LIMIT_S = 120.0  # hashing 2 GiB three times on two slow cores
RUN_LIMIT_S = 300.0  # 2 GiB at 7 MB/s; slower than that is hung
POLL_S = 0.05
LOG_TAIL_BYTES = 600  # enough for the sentence that says why


class BenchmarkError(Exception):
    """Something measured, or something it needs, did not work; the text says what and why."""


def end_when_told() -> None:
    """Have SIGTERM, as `timeout` sends it, end this process like an error: cleaned up."""

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # `timeout` sends it twice: also to the group.
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


@dataclass(frozen=True)
class Child:
    """A process that this benchmark started, in a session of its own; its output is on disk."""

    name: str
    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.stdout.read_text()

    def exits_within(self, limit_s: float) -> bool:
        """Wait for the exit, but do not reap: what it used is still to be asked for."""
        exit_fd = os.pidfd_open(self.pid)
        try:
            return bool(select.select([exit_fd], [], [], limit_s)[0])
        finally:
            os.close(exit_fd)

    def reap(self) -> struct_rusage:
        """Wait for the end; gives what the process and its reaped descendants used."""
        if not self.exits_within(RUN_LIMIT_S):
            raise BenchmarkError(f"{self.name} did not end within {RUN_LIMIT_S:.0f} s")
        _, status, usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage

    def expect_success(self) -> None:
        if self.process.returncode != 0:
            raise BenchmarkError(f"{self.name} ended with {self.process.returncode}: {self.tail()}")

    def tail(self) -> str:
        """Give the last words on stderr, else on stdout."""
        for log in (self.stderr, self.stdout):
            if text := log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip():
                return text
        return "it said nothing"


class Children:
    """All child processes of one benchmark; leaving the `with` block ends those still running."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A second Ctrl-C must not leave servers behind; STOP_LIMIT_S bounds the deafness.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.stop(self._started)
        finally:
            signal.signal(signal.SIGINT, before)

    def start(self, name: str, argv: Sequence[str]) -> Child:
        stem = f"{len(self._started):03}-{name}"
        stdout, stderr = self._logs / f"{stem}.out", self._logs / f"{stem}.err"
        with stdout.open("wb") as out, stderr.open("wb") as err:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=ROOT,
                env=_as_users_have_it(),
                start_new_session=True,  # the terminal's Ctrl-C reaches this benchmark alone
            )
        child = Child(name, process, stdout, stderr)
        self._started.append(child)
        return child

    def run(self, name: str, argv: Sequence[str]) -> str:
        """Start a process, wait for its success and give its stdout."""
        child = self.start(name, argv)
        try:
            child.reap()
        finally:
            self.stop([child])
        child.expect_success()
        return child.output()

    def stop(self, children: Sequence[Child]) -> None:
        """Ask all to end, newest first; after STOP_LIMIT_S kill each with what it started."""
        running = [child for child in reversed(children) if child.is_running()]
        for child in running:
            child.process.terminate()
        give_up = time.monotonic() + STOP_LIMIT_S
        for child in running:
            try:
                child.process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.process.wait()


def _as_users_have_it() -> dict[str, str]:
    """Give the environment, but let Python keep what it compiled, as it does by default."""
    kept = os.environ.items()
    return {name: value for name, value in kept if name != "PYTHONDONTWRITEBYTECODE"}


def wait_until(ready: Callable[[], bool], what: str, needed: Sequence[Child]) -> None:
    """Return once `ready` holds; raises when one needed for it ends, or after READY_LIMIT_S."""
    give_up = time.monotonic() + READY_LIMIT_S
    while not ready():
        for child in needed:
            if not child.is_running():
                raise BenchmarkError(f"{child.name} ended before {what}: {child.tail()}")
        if time.monotonic() > give_up:
            last_words = "; ".join(f"{child.name}: {child.tail()}" for child in needed)
            raise BenchmarkError(f"no {what} within {READY_LIMIT_S:.0f} s: {last_words}")
        time.sleep(POLL_S)

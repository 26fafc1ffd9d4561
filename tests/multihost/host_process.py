"""A process on a host of the lab: its output in files, its whole group ended together."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_CHARACTERS = 2000  # Of each stream, in error messages: enough for a traceback.


class HostProcess:
    """A started process. It leads a group of its own, so a signal reaches what it started too."""

    def __init__(self, popen: subprocess.Popen[bytes], output: Path) -> None:
        self._popen = popen
        self.stdout_path = stdout_path(output)
        self.stderr_path = stderr_path(output)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number if a signal ended it."""
        return self._popen.poll()

    @property
    def stdout(self) -> str:
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self.stderr_path.read_text(errors="replace")

    def wait(self, timeout_s: float) -> int:
        """Give the exit code; raise TimeoutError, with what was printed, if it runs on."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"still running after {timeout_s} s: {self}") from error

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the whole group; nothing happens if the process has ended."""
        if self.exit_code is None:  # Not reaped yet, so the number cannot belong to a stranger.
            os.killpg(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        self._popen.wait()

    def __str__(self) -> str:
        command = " ".join(map(str, self._popen.args))  # type: ignore[arg-type]  # always a list here
        streams = f"{self.stdout[-TAIL_CHARACTERS:]}\n--- stderr\n{self.stderr[-TAIL_CHARACTERS:]}"
        return f"{command}\n--- exit code {self.exit_code}, stdout\n{streams}"


def launch(
    argv: Sequence[str],
    output: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> HostProcess:
    """Start argv; its output goes to files whose names begin with `output`.

    It leads a group of processes, but no session: where the kernel shares its processors out among
    sessions (sched_autogroup), one of 17 such hosts on two of them is stopped for 0.7 s at times.
    """
    with stdout_path(output).open("wb") as stdout, stderr_path(output).open("wb") as stderr:
        popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            process_group=0,
        )
    return HostProcess(popen, output)


def stdout_path(output: Path) -> Path:
    return output.with_name(output.name + ".stdout")


def stderr_path(output: Path) -> Path:
    return output.with_name(output.name + ".stderr")

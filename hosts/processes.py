"""The ssh processes that run here: started, fed, listened to, and ended when the operator stops."""

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import IO

from shoal.protocol.errors import OperatorError

PIECE_BYTES = 64 << 10  # As much as a pipe holds.
FAREWELL_S = 6.0  # What runs on a host gets 5 s to end after its input has.
STUCK_S = 0.5  # A host that takes no byte in so long is not waited for.
MOST_SAID_BYTES = 1 << 20  # Of each of its outputs; no command says more that matters.
LAST_SAID_BYTES = 400


class EndedError(OperatorError):
    """Nothing is started any more: the operator has stopped the command."""


class _Running:
    def __init__(self, process: subprocess.Popen[bytes], about: str, stderr: IO[bytes]) -> None:
        self.process = process
        self.about = about
        self.stderr = stderr
        self.fed = threading.Event()  # Set when nothing more will be written.

    def close_input(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()


class Processes:
    """Runs commands, each in the thread that asks for it; `end` ends all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[_Running] = set()
        self._has_ended = False

    def run(
        self,
        about: str,
        argv: Sequence[str],
        data: bytes = b"",
        *,
        stays_open: bool = False,
        sent: Callable[[int], None] = lambda _: None,
    ) -> tuple[int, str, str]:
        """Run a command to its end; return its exit code, stdout and stderr.

        Args:
            about: by which `last_said` tells it from others.
            argv: the command.
            data: its standard input.
            stays_open: whether that ends only with the command, or with `end`.
            sent: called with the number of bytes that have been written so far.

        Raises:
            OperatorError: there is no such command.
            EndedError: `end` has been called.
        """
        # Files, not pipes: what ssh leaves in the background may keep them open.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            running = self._start(about, argv, out, err)
            try:
                self._feed(running, data, sent, stays_open=stays_open)
                code = running.process.wait()
            finally:
                with self._lock:
                    self._running.discard(running)
                running.close_input()
            if self._has_ended:
                raise EndedError("interrupted; run it again")
            return code, _said(out), _said(err)

    def last_said(self) -> dict[str, str]:
        """Return the last line on stderr of each that runs and has said something."""
        with self._lock:
            said = {one.about: _last_line(one.stderr) for one in self._running}
        return {about: line for about, line in said.items() if line}

    def end(self) -> None:
        """End all: by the end of their input, which ends what they run on the hosts."""
        with self._lock:
            self._has_ended = True
            waiting = list(self._running)
            for running in waiting:
                if running.fed.is_set():
                    running.close_input()
        give_up_at = time.monotonic() + FAREWELL_S
        for running in waiting:
            if not running.fed.wait(STUCK_S):  # Its thread cannot write, and so not close either.
                running.process.kill()
        for running in waiting:
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(max(0.0, give_up_at - time.monotonic()))
            running.process.kill()

    def _start(self, about: str, argv: Sequence[str], out: IO[bytes], err: IO[bytes]) -> _Running:
        with self._lock:
            if self._has_ended:
                raise EndedError("interrupted; run it again")
            try:
                process = subprocess.Popen(  # noqa: S603 (the operator names it)
                    argv,
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,  # A Ctrl-C is for us, who end it in order.
                )
            except OSError as error:
                message = f"cannot run {argv[0]}: {error.strerror}"
                raise OperatorError(f"{message}; install it, or name another with --ssh") from None
            running = _Running(process, about, err)
            self._running.add(running)
            return running

    def _feed(
        self, running: _Running, data: bytes, sent: Callable[[int], None], *, stays_open: bool
    ) -> None:
        assert running.process.stdin is not None
        view, done = memoryview(data), 0
        with contextlib.suppress(BrokenPipeError):  # It has ended; its exit code says why.
            while done < len(data) and not self._has_ended:
                done += os.write(running.process.stdin.fileno(), view[done : done + PIECE_BYTES])
                sent(done)
        with self._lock:
            running.fed.set()
            if not stays_open or self._has_ended:
                running.close_input()


def _said(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MOST_SAID_BYTES).decode(errors="replace").strip()


def _last_line(file: IO[bytes]) -> str:
    size = os.fstat(file.fileno()).st_size
    start = max(0, size - LAST_SAID_BYTES)
    text = os.pread(file.fileno(), LAST_SAID_BYTES, start).decode(errors="replace").strip()
    return text.rpartition("\n")[2].strip()

"""Commands on a terminal: what they write to it, and what is to be seen there then."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

ROWS = 50


def on_terminal(
    argv: Sequence[str | Path],
    columns: int,
    timeout_s: float,
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
) -> tuple[int, str]:
    """Run a command on a terminal that wide; return its exit code, and what it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    with subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**environ, "TERM": "xterm-256color", "COLUMNS": str(columns)},
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                written += (more := os.read(ours, 65536))
            except OSError:  # The last process has closed the terminal.
                break
            if not more:
                break
        code = process.wait(timeout_s)
    os.close(ours)
    return code, written.decode()


def screen(written: str, columns: int) -> list[str]:
    """Return the lines that a terminal shows after that, of which none is empty."""
    seen = pyte.Screen(columns, ROWS)
    pyte.Stream(seen).feed(written)
    return [line.rstrip() for line in seen.display if line.strip()]

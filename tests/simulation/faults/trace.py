"""What happened, as lines; the same seed gives the same lines, of which a digest is kept."""

import collections
import logging

from blake3 import blake3

from tests.simulation.faults.threads import Loop

KEPT_LINES = 4000


class Finding(BaseException):
    """Something that must not happen did: `checker` saw it. No product code may catch it."""

    def __init__(self, checker: str, text: str) -> None:
        super().__init__(f"{checker}: {text}")
        self.checker = checker


class Trace(logging.Handler):
    """Takes the product's log, and what the simulation itself notes."""

    def __init__(self, loop: Loop, scratch: str) -> None:
        super().__init__()
        self.lines: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self.bugs: list[str] = []  # What the product itself took for a bug.
        self._loop = loop
        self._scratch = scratch
        self._hash = blake3()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()[:16]

    def note(self, text: str) -> None:
        """Note a line."""
        line = f"{self._loop.now:10.4f} {text.replace(self._scratch, '')}"
        self.lines.append(line)
        self._hash.update(line.encode(errors="surrogateescape"))

    def emit(self, record: logging.LogRecord) -> None:
        process = self._loop.process()
        text = record.getMessage()
        self.note(f"{process.host if process else '-'}: {text}")
        if record.levelno >= logging.ERROR:
            error = record.exc_info[1] if record.exc_info else None
            self.bugs.append(f"{text}: {error!r}")
        elif text.startswith("a bug"):
            self.bugs.append(text)

"""Files that could not be read, so that nobody tries again before they change. Reads none."""

import contextlib
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

MOST = 100_000  # Some 30 MB. Others are tried again, which only costs time.

# This process, or the machine, has too many files open or no memory: nothing follows from that.
SHORT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR}
# Errors that no file is to blame for: the same, or it has just gone, …
PASSING = SHORT | {errno.ENOENT, errno.ENOTDIR}
# … or the disk or a file server fails. A directory without that file would be a new version, and
# would replace all copies that still have it.
PASSING |= {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO}

_State = tuple[int, int, int, int, int]


class UnreadableError(OSError):
    """One file of a tree cannot be read. `inside` is its path in the tree."""

    def __init__(self, error: OSError, inside: str, path: str) -> None:
        super().__init__(error.errno, error.strerror, path)
        self.inside = inside


class CannotReadError(OSError):
    """The file to be copied cannot be read: the disk that is written to is not to blame."""


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Raise CannotReadError for a file that cannot be read, unless the file is not to blame."""
    try:
        yield
    except OSError as error:
        if error.errno in PASSING:
            raise
        raise CannotReadError(error.errno, error.strerror, error.filename) from None


class Unreadable:
    """Files by path, each with its state when it could not be read. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[_State, str]] = {}

    def note(self, path: str, error: OSError) -> None:
        """Take in that the file at `path` could not be read."""
        try:
            state = _state(Path(path).stat())
        except OSError:
            return  # The next look will tell.
        with self._lock:
            if len(self._known) < MOST or path in self._known:
                self._known[path] = state, why(error)

    def why_not(self, path: str, status: os.stat_result) -> str | None:
        """Return why the file at `path` is not to be read, which has this status now; else None."""
        known = self._known.get(path)
        if known is None:
            return None
        state, reason = known
        if state == _state(status):
            return reason
        with self._lock:
            self._known.pop(path, None)
        return None


def why(error: OSError) -> str:
    """Return the reason why something cannot be read, for people."""
    return f"it cannot be read: {error.strerror or error}"


def _state(status: os.stat_result) -> _State:
    return (
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,  # Permissions count too.
        status.st_dev,
    )

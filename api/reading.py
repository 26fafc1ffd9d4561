"""A file of something that is shared, read while it comes: what is read comes first.

The node does the work (node.orders.reading). A `Reader` holds a few strings and a small buffer.
"""

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from shoal.api.exceptions import translated
from shoal.api.what import checked_what
from shoal.protocol.control import (
    MAX_READ_BYTES,
    Bytes,
    CloseOrder,
    Opened,
    OpenOrder,
    Reading,
    ReadOrder,
    Report,
    There,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LEAST_BYTES = 64 << 10  # Taken from the file at a time, however little is read.
TRUSTED_S = 1.0  # What is still being fetched may be moved and changed by others after that.
TRIES = 3  # A file may be moved between the answer and its opening.


def _nothing() -> None:
    """Do nothing."""


class Worker(Protocol):
    """A node on this machine (LocalNode, Lasting)."""

    def carry_out(self, order: Reading, /) -> Report:
        """Return the report that ends an order; raise OperatorError if it cannot be done."""


def open_reading(node: Worker, what: str, on_close: Callable[[], None] = _nothing) -> "Reader":
    """Open a file to read it while it comes.

    Args:
        node: one that was opened.
        what: NAME or NAME@ID of a file, or one of these and the path of a file in it, NAME/PATH.
            The version is settled now: no read ever returns bytes of another one.
        on_close: called when the reader is closed; not if it cannot be opened.

    Raises:
        NotFound: no node has it, as far as the tracker knows, or it has no such file.
        Unreachable: no node that has it is alive, or the tracker does not answer.
        Corrupt, DiskTrouble, TimedOut, Invalid: as for a fetch.
    """
    return Reader(node, what, on_close)


class Reader(io.BufferedIOBase):
    """A file, open for reading: seekable, with as many bytes as `size` says from the beginning.

    Reads wait until the bytes are here, and verified. They raise what `open_reading` does. Use it
    from any thread: reads do not overlap.
    """

    def __init__(self, node: Worker, what: str, on_close: Callable[[], None] = _nothing) -> None:
        """Prefer `open_reading`."""
        self._node = node
        self._on_close = on_close
        self._pid = os.getpid()
        self._reader = os.urandom(16).hex()
        self._guard = threading.RLock()
        self._at = 0
        self._buffer = memoryview(b"")
        self._buffer_at = 0
        self._source = _Source()
        self._is_open = False
        with translated():
            opened = node.carry_out(OpenOrder(checked_what(what), self._reader))
        assert isinstance(opened, Opened)
        self._opened = opened
        self._is_open = True

    @property
    def name(self) -> str:
        """The version that is read, as NAME@ID, and the path in it."""
        inside = f"/{self._opened.inside}" if self._opened.inside else ""
        return f"{self._opened.what}{inside}"

    @property
    def id(self) -> str:
        """The id of the thing: of the whole directory, if it is a file in one."""
        return self._opened.id

    @property
    def size(self) -> int:
        """How many bytes the file has."""
        return self._opened.size_bytes

    @property
    def mode(self) -> str:
        """As other binary files have it."""
        return "rb"

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins, in bytes from the start."""
        self._require_open()
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to `offset`, counted from the start, from here (1) or from the end (2)."""
        self._require_open()
        with self._guard:
            if whence not in {os.SEEK_SET, os.SEEK_CUR, os.SEEK_END}:
                raise ValueError(f"whence is {whence}; expected 0, 1 or 2")
            base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
            if base + offset < 0:
                raise ValueError(f"cannot go to {base + offset}, which is before the start")
            self._at = base + offset
            return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return so many bytes, or all up to the end; fewer only at the end."""
        self._require_open()
        with self._guard:
            left = max(0, self.size - self._at)
            wanted = left if size is None or size < 0 else min(size, left)
            pieces: list[bytes] = []
            while wanted:
                pieces.append(self._taken(wanted))
                wanted -= len(pieces[-1])
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to so many bytes: those that come first."""
        self._require_open()
        with self._guard:
            left = max(0, self.size - self._at)
            return bytes(self._some(min(size if size >= 0 else MAX_READ_BYTES, left)))

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Fill `buffer`; return how many bytes were read, fewer than it has only at the end."""
        self._require_open()
        target = memoryview(buffer).cast("B")
        with self._guard:
            wanted = min(len(target), max(0, self.size - self._at))
            done = 0
            while done < wanted:
                some = self._some(wanted - done)
                target[done : done + len(some)] = some
                done += len(some)
            return done

    def readinto1(self, buffer: "WriteableBuffer", /) -> int:
        """Fill a part of `buffer` with what comes first."""
        target = memoryview(buffer).cast("B")
        some = self.read1(len(target))
        target[: len(some)] = some
        return len(some)

    def peek(self, size: int = 0, /) -> bytes:
        """Return some of the next bytes without going on; none at the end."""
        self._require_open()
        with self._guard:
            at = self._at
            some = bytes(self._some(min(max(size, 1), max(0, self.size - at))))
            self._at = at
            return bytes(self._rest()) or some

    def close(self) -> None:
        """Read no more; a fetch that nobody else waits for stops. What has come is kept."""
        if not self.closed and self._is_open:
            self._is_open = False
            self._source.close()
            if self._pid == os.getpid():  # A forked child has only borrowed it.
                with contextlib.suppress(Exception):  # The node may be gone, or all is ending.
                    self._node.carry_out(CloseOrder(self._opened.what, self._reader))
                self._on_close()
        super().close()

    def _require_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def _some(self, most: int) -> memoryview:
        """Go on by some of the next bytes, at most so many; none only if none are wanted."""
        if not most:
            return memoryview(b"")
        if not self._rest():
            self._buffer_at, self._buffer = self._at, memoryview(self._next(most))
        some = self._rest()[:most]
        self._at += len(some)
        return some

    def _taken(self, most: int) -> bytes:
        """The same as `_some`; large reads without the buffer."""
        if self._rest() or most < LEAST_BYTES:
            return bytes(self._some(most))
        data = self._next(most)
        if len(data) > most:
            self._buffer_at, self._buffer = self._at, memoryview(data)
            data = data[:most]
        self._at += len(data)
        return data

    def _rest(self) -> memoryview:
        """Return what the buffer has from here on."""
        start = self._at - self._buffer_at
        return self._buffer[start:] if start >= 0 else memoryview(b"")

    def _next(self, wanted: int) -> bytes:
        """Return some bytes from here on, perhaps more than are wanted."""
        size_bytes = min(max(wanted, LEAST_BYTES), MAX_READ_BYTES)
        for _ in range(TRIES):
            data = self._source.read(self._at, size_bytes)
            if data:
                return data
            report = self._order(wanted, pointed=True)
            if isinstance(report, Bytes):
                return report.data
            self._source.point(report, self._at)
        report = self._order(size_bytes, pointed=False)  # It may not be ours to open.
        assert isinstance(report, Bytes)
        return report.data

    def _order(self, size_bytes: int, *, pointed: bool) -> Bytes | There:
        opened, at = self._opened, self._at
        order = ReadOrder(opened.what, opened.inside, self._reader, at, size_bytes, pointed)
        with translated():
            report = self._node.carry_out(order)
        assert isinstance(report, Bytes | There)
        return report


class _Source:
    """The file that a node has pointed at: which of its bytes are right, and for how long."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._pid = 0
        self._start = self._end = 0  # Of the bytes, in what is read.
        self._shift = 0  # From there to the place in the file.
        self._status: tuple[int, int, int, int] | None = None
        self._until = 0.0

    def point(self, there: There, at: int) -> None:
        """Note where the bytes are that begin `at` in what is read."""
        self.close()  # Staging that was removed and begun anew is another file at the same path.
        with contextlib.suppress(OSError):
            self._descriptor = os.open(there.path, os.O_RDONLY | os.O_CLOEXEC)
        self._start, self._end = at, at + there.size_bytes
        self._shift, self._status = there.offset - at, there.status
        self._until = time.monotonic() + TRUSTED_S

    def read(self, at: int, size_bytes: int) -> bytes:
        """Return some bytes; none if it is not certain that they are the right ones."""
        if self._descriptor < 0 or not self._start <= at < self._end or not self._is_right():
            return b""
        try:
            data = os.pread(self._descriptor, min(size_bytes, self._end - at), at + self._shift)
        except OSError:  # It is a directory by now, or cannot be read: the node says what is wrong.
            return b""
        return data if self._is_right() else b""

    def _is_right(self) -> bool:
        if self._status is None:
            return time.monotonic() < self._until
        status = os.fstat(self._descriptor)
        times = status.st_mtime_ns, status.st_ctime_ns
        return self._status == (status.st_size, *times, status.st_ino)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._end = -1, 0

"""Wakes a thread that is polling. Carries no data."""

import socket


class Wake:
    """Readable from `set` until `clear`. Register `self` with a zmq.Poller."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.settimeout(0)
        self._writer.settimeout(0)

    def fileno(self) -> int:
        return self._reader.fileno()

    def set(self) -> None:
        """May be called from any thread, and from a signal handler."""
        try:
            self._writer.send(b"!")
        except (BlockingIOError, OSError):
            pass  # Full: already set. Closed: nobody is waiting any more.

    def clear(self) -> None:
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

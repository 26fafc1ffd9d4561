"""Keeps a listening socket's connections below the process's limit on open files.

libzmq accepts every connection; without a descriptor left it would spin, and accept none. It cannot
refuse a connection, but its monitor tells the descriptor, which can be shut down.
"""

import contextlib
import logging
import socket

import zmq
from shoal.broker.settings import ServerSettings
from shoal.system import descriptors
from zmq.utils.monitor import parse_monitor_message

_log = logging.getLogger("shoal.tracker")
_ENDPOINT = "inproc://connections-of-the-tracker"
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
_MAX_EVENTS = 1000  # Read at a time: a stampede must not delay requests.


class Connections:
    """Reads the socket's monitor, whose `socket` must be polled: libzmq waits for its reader."""

    def __init__(self, settings: ServerSettings) -> None:
        self.count = 0
        self.refused_count = 0
        self._settings = settings
        self._limit = 0
        self._warn_at = 0.0
        self._socket: zmq.Socket[bytes] | None = None

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        assert self._socket is not None, "watch comes first"
        return self._socket

    def watch(self, context: "zmq.Context[zmq.Socket[bytes]]", listener: zmq.Socket[bytes]) -> None:
        """Start counting; call this before the listener is bound."""
        most = descriptors.raise_limit()
        self._limit = max(most - self._settings.spare_descriptors, most // 2)
        listener.monitor(_ENDPOINT, _EVENTS)
        self._socket = context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.RCVHWM, 0)  # A full queue would stop libzmq's I/O thread.
        self._socket.connect(_ENDPOINT)

    def read(self, now: float) -> None:
        """Count connections that were opened and closed, and end those above the limit."""
        for _ in range(_MAX_EVENTS):
            if not self.socket.poll(0):
                return
            message = parse_monitor_message(self.socket.recv_multipart(zmq.NOBLOCK))
            if message["event"] == zmq.EVENT_DISCONNECTED:
                self.count -= 1
                continue
            self.count += 1
            if self.count > self._limit:
                self.refused_count += 1
                _shut_down(message["value"])
                self._warn(now)

    def _warn(self, now: float) -> None:
        if now < self._warn_at:
            return
        self._warn_at = now + self._settings.warn_every_s
        _log.warning(
            "%d connections are open; refusing more. Raise the limit on open files "
            "(ulimit -n) before starting the tracker",
            self._limit,
        )

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None


def _shut_down(descriptor: int) -> None:
    """End a connection; libzmq closes it when it sees the end."""
    with contextlib.suppress(OSError):  # It is closed already.
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, fileno=descriptor)
        try:
            connection.shutdown(socket.SHUT_RDWR)
        finally:
            connection.detach()  # libzmq closes it, and a copy might be one descriptor too many.

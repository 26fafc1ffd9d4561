"""Counts the connections of a listening socket, and says when there are nearly too many.

Cannot refuse any: libzmq accepts whoever comes, until the process has no descriptor left, and then
spins (fault 28). So the limit is raised as far as it goes, and the operator warned well before it.
"""

import logging
import resource

import zmq
from zmq.utils.monitor import parse_monitor_message

from broker.settings import ServerSettings

_log = logging.getLogger("shoal.tracker")
_ENDPOINT = "inproc://connections-of-the-tracker"
_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_ACCEPT_FAILED


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
        """Begin to count; call this before the listener is bound."""
        self._limit = _raise_descriptor_limit() - self._settings.spare_descriptors
        listener.monitor(_ENDPOINT, _EVENTS)
        self._socket = context.socket(zmq.PAIR)
        self._socket.setsockopt(zmq.RCVHWM, 0)  # A full queue would stop libzmq's I/O thread.
        self._socket.connect(_ENDPOINT)

    def read(self, now: float) -> None:
        """Take up what happened since."""
        while self.socket.poll(0):
            event = parse_monitor_message(self.socket.recv_multipart(zmq.NOBLOCK))["event"]
            self.count += (event == zmq.EVENT_ACCEPTED) - (event == zmq.EVENT_DISCONNECTED)
            self.refused_count += event == zmq.EVENT_ACCEPT_FAILED
        if self.count >= self._limit and now >= self._warn_at:
            self._warn_at = now + self._settings.warn_every_s
            _log.warning(
                "%d connections are open, no more than %d can be; raise the limit on open files "
                "(ulimit -n) before starting the tracker",
                self.count,
                self._limit,
            )

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None


def _raise_descriptor_limit() -> int:
    """Let the process open as many files as it may, and return how many that is."""
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        except (OSError, ValueError):  # "As many as you like" is refused by some systems.
            return limit
    return most

"""Sending without a copy, and hearing when libzmq has written what was sent.

pyzmq keeps what it sends without a copy until libzmq has written it, and a thread of pyzmq's own
waits for that news. Each chunk woke that thread, and then ours, which waited for the same news:
4.5 % of a node's processor time (docs/build/decisions/0015). Here the sending thread gets the news
along with everything else that it waits for.
"""

import struct
import threading
import time

import zmq
from shoal.wire.frames import end_uncopied, has_mail
from zmq.utils import garbage

CLOSE_S = 1.0  # How long libzmq may take to give up what a closed socket has not sent.

_NUMBER = struct.Struct("@N")  # A size_t: free_python_msg in pyzmq's _zmq.py.
_sender = threading.local()
_never_closed: "list[Releases]" = []


class Releases:
    """Sends without a copy, and tells when that has left. For one thread; `close` it at the end."""

    def __init__(self) -> None:
        garbage.gc.__class__ = _Collector  # pyzmq looks it up once: it must be this very object.
        self._kept: dict[int, object] = {}
        self._number = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=0)
        self.socket, self.told = self._context.socket(zmq.PULL), self._context.socket(zmq.PUSH)
        for sock in (self.socket, self.told):
            sock.set_hwm(0)  # The news comes from libzmq's thread, which must not wait for us.
            sock.setsockopt(zmq.LINGER, 0)
        self.socket.bind("inproc://released")
        self.told.connect("inproc://released")

    def send(self, sock: "zmq.Socket[bytes]", data: bytes, number: int) -> None:
        """Send `data`, a message's last frame, which is released under `number`.

        `data` must not be so short that pyzmq copies it (zmq.COPY_THRESHOLD): that is never
        released. No two may have the same number at a time.
        """
        self._number = number
        _sender.releases = self
        try:
            end_uncopied(sock, data)
        finally:
            _sender.releases = None

    def taken(self) -> list[int]:
        """Return the numbers of what was released since the last call; `socket` announces it."""
        numbers = []
        while has_mail(self.socket):
            (number,) = _NUMBER.unpack(self.socket.recv(zmq.NOBLOCK))
            del self._kept[number]
            numbers.append(number)
        return numbers

    def keep(self, data: object) -> int:
        """Keep what is being sent; return its number."""
        self._kept[self._number] = data
        return self._number

    def close(self) -> None:
        """Wait until everything is released; close the socket that sent it first."""
        until = time.monotonic() + CLOSE_S
        while self._kept and (left_s := until - time.monotonic()) > 0:
            self.socket.poll(int(1000 * left_s) + 1)
            self.taken()
        if self._kept:  # Otherwise libzmq would write to a closed socket.
            _never_closed.append(self)
            return
        self.told.close()
        self.socket.close()
        self._context.term()


class _Collector(garbage.GarbageCollector):
    """pyzmq's, except for what a thread sends by way of its Releases."""

    def store(self, obj: object, event: threading.Event | None = None) -> int:
        mine: Releases | None = getattr(_sender, "releases", None)
        return super().store(obj, event) if mine is None else mine.keep(obj)

    @property
    def _push_socket(self) -> "zmq.Socket[bytes]":
        mine: Releases | None = getattr(_sender, "releases", None)
        return super()._push_socket if mine is None else mine.told

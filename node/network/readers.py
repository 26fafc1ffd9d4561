"""The REPs, which read chunks from the disk, each in a thread of its own: it may take its time.

The chunk server is before them, and holds requests back, refuses and answers them; a REP could do
none of that while it reads. What it reads is passed on as it is, without a copy.
"""

import itertools
import logging
import struct
import threading
import time
from typing import NamedTuple

import zmq
from shoal.node.files.signature import GoneError
from shoal.node.serving import steps
from shoal.wire import frames
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

READERS = 2  # A disk that hangs holds up one for each chunk of it; the rest goes to the others.
_NUMBER = struct.Struct("=Q")
_serial = itertools.count()


class Reading(NamedTuple):
    """The end of a reading, and how long it took."""

    event: steps.ChunkRead | steps.ChunkGone | steps.AnswerFailed
    action: steps.ReadChunk
    took_s: float


def read(action: steps.ReadChunk) -> Reading:
    """Read a chunk here and now; whatever happens, there is an end."""
    began = time.monotonic()
    event: steps.ChunkRead | steps.ChunkGone | steps.AnswerFailed
    try:
        event = steps.ChunkRead(action.number, action.shared.read(action.index))
    except GoneError as error:
        event = steps.ChunkGone(action.number, str(error))
    except Exception:
        log.exception("a chunk could not be read")
        event = steps.AnswerFailed(action.number)
    return Reading(event, action, time.monotonic() - began)


class Readers:
    """Some threads that read; poll their `sockets`. Used by one thread, which `close`s them."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self._stop = Wake()
        self._readers = [_Reader(context, self._stop) for _ in range(READERS)]

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        return [reader.asker for reader in self._readers]

    @property
    def are_busy(self) -> bool:
        return any(reader.wanted for reader in self._readers)

    def ask(self, action: steps.ReadChunk) -> None:
        """Have a chunk read by whoever has least to do."""
        min(self._readers, key=lambda reader: len(reader.wanted)).ask(action)

    def taken(self) -> list[Reading]:
        """Return what has been read since the last call."""
        return [reading for reader in self._readers for reading in reader.taken()]

    def close(self, timeout_s: float) -> bool:
        """Stop; say whether all threads have ended: one may hang in a disk, and is left alone."""
        self._stop.set()
        until = time.monotonic() + timeout_s
        ended = [reader.close(max(0.0, until - time.monotonic())) for reader in self._readers]
        if all(ended):
            self._stop.close()
        return all(ended)


class _Reader:
    """One thread with its REP, and the socket of the thread that asks it."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", stop: Wake) -> None:
        self.wanted: dict[int, steps.ReadChunk] = {}
        self._done: dict[int, Reading] = {}
        endpoint = f"inproc://reader-{next(_serial)}"
        self._rep = context.socket(zmq.REP)
        self.asker = context.socket(zmq.DEALER)
        for sock in (self._rep, self.asker):
            sock.setsockopt(zmq.LINGER, 0)
            sock.set_hwm(0)  # The server bounds what is asked of it.
        self._rep.bind(endpoint)
        self.asker.connect(endpoint)
        self._thread = threading.Thread(target=self._run, args=(stop,), name="read", daemon=True)
        self._thread.start()

    def ask(self, action: steps.ReadChunk) -> None:
        self.wanted[action.number] = action
        frames.send(self.asker, [b"", _NUMBER.pack(action.number)])

    def taken(self) -> list[Reading]:
        readings = []
        while frames.has_mail(self.asker):
            _, packed = self.asker.recv_multipart(zmq.NOBLOCK)
            (number,) = _NUMBER.unpack(packed)
            del self.wanted[number]
            readings.append(self._done.pop(number))
        return readings

    def close(self, timeout_s: float) -> bool:
        """Stop reading; say whether the thread has ended."""
        self._thread.join(timeout_s)
        self.asker.close()
        return not self._thread.is_alive()

    def _run(self, stop: Wake) -> None:
        poller = zmq.Poller()
        poller.register(self._rep, zmq.POLLIN)
        poller.register(stop, zmq.POLLIN)
        try:
            while stop.fileno() not in dict(poller.poll()):
                while frames.has_mail(self._rep):
                    packed = self._rep.recv(zmq.NOBLOCK)
                    (number,) = _NUMBER.unpack(packed)
                    self._done[number] = read(self.wanted[number])
                    self._rep.send(packed)
        finally:
            self._rep.close()

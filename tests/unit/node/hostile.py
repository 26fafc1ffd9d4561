"""Holders that misbehave, each in its way, a tracker that names them, and one who may be honest.

A holder is a ROUTER in a thread: to a DEALER it looks like a REP, but it may answer what it likes.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import zmq
from shoal.protocol import manifest, messages
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import MAX_CHUNK_BYTES, Manifest
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    Holder,
    Holders,
    ManifestReply,
    NodeRequest,
    Noted,
    Nothing,
    Query,
    WrongChunk,
)
from shoal.wire import sockets

from tests.unit.node.things import id_of, plain
from tests.unit.wire.places import free_address

Frames = list[bytes]
# From a request's tag, the request, and what an honest holder would send, to what is sent.
Way = Callable[[bytes, ChunkRequest | messages.ManifestRequest, Frames], list[Frames]]

NAME = "a.bin"


def _honest(tag: bytes, _: object, right: Frames) -> list[Frames]:
    return [[tag, b"", *right]]


def _chunks(change: Callable[[bytes], bytes]) -> Way:
    """Return a way that changes the bytes of each chunk."""

    def way(tag: bytes, request: object, right: Frames) -> list[Frames]:
        if isinstance(request, ChunkRequest) and len(right) == 2:
            return [[tag, b"", right[0], change(right[1])]]
        return [[tag, b"", *right]]

    return way


def _instead(*frames: bytes) -> Way:
    """Return a way that sends something else than a chunk."""

    def way(tag: bytes, request: object, right: Frames) -> list[Frames]:
        return [[tag, b"", *(frames if isinstance(request, ChunkRequest) else right)]]

    return way


def _another_index(tag: bytes, request: object, right: Frames) -> list[Frames]:
    if isinstance(request, ChunkRequest):
        index = 0 if request.index else 1
        right = [messages.encode(ChunkReply(index)), *right[1:]]
    return [[tag, b"", *right]]


def _silent(*_: object) -> list[Frames]:
    return []


def _silent_later(tag: bytes, request: object, right: Frames) -> list[Frames]:
    return [] if isinstance(request, ChunkRequest) else [[tag, b"", *right]]


def _twice(tag: bytes, _: object, right: Frames) -> list[Frames]:
    return [[tag, b"", *right]] * 2


def _other_tags(tag: bytes, _: object, right: Frames) -> list[Frames]:
    return [[tag[::-1], b"", *right], [b"", b"", *right], [tag * 2, *right], [tag]]


def _slow(tag: bytes, request: object, right: Frames) -> list[Frames]:
    if isinstance(request, ChunkRequest):
        time.sleep(0.5)
    return [[tag, b"", *right]]


def _refuses(code: WireCode) -> Way:
    return _instead(messages.encode(Error(code, "no")))


def _false_manifest(tag: bytes, _: object, right: Frames) -> list[Frames]:
    return [[tag, b"", right[0], manifest.encode(plain(b"something else"))]]


class _EverySecond:
    """Answers every second request for a chunk (fault 38)."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, tag: bytes, request: object, right: Frames) -> list[Frames]:
        if isinstance(request, ChunkRequest):
            self._count += 1
            if self._count % 2:
                return []
        return [[tag, b"", *right]]


class _Backwards:
    """Answers each request for a chunk after the next one (fault 39)."""

    def __init__(self) -> None:
        self._held: list[Frames] = []

    def __call__(self, tag: bytes, request: object, right: Frames) -> list[Frames]:
        reply = [tag, b"", *right]
        if not isinstance(request, ChunkRequest):
            self._held.clear()
            return [reply]
        self._held.append(reply)
        if len(self._held) == 1:
            return []
        replies = self._held[::-1]
        self._held.clear()
        return replies


LIARS: Mapping[str, Way] = {
    "wrong bytes": _chunks(lambda data: bytes([data[0] ^ 1]) + data[1:]),
    "short": _chunks(lambda data: data[:-1]),
    "long": _chunks(lambda data: data + b"!"),
    "empty": _chunks(lambda _: b""),
    "without its bytes": _chunks(lambda data: data[:0]),
    "another index": _another_index,
    "garbage": _instead(b"\xc1\xff garbage"),
    "no message": _instead(b""),
    "too many frames": _instead(*[messages.encode(ChunkReply(0)), b"x", b"y"]),
    "a thousand frames": _instead(*[b"x"] * 1000),
    "deep": _instead(b"\x91" * 5000),
    "false manifest": _false_manifest,
}
NUISANCES: Mapping[str, Way] = {
    "silent": _silent,
    "silent later": _silent_later,
    "busy for ever": _refuses(WireCode.BUSY),
    "refuses": _refuses(WireCode.NOT_FOUND),
    "has nothing": _instead(messages.encode(Nothing(b"\xff\xff"))),
    "too large": _instead(messages.encode(ChunkReply(0)), bytes(MAX_CHUNK_BYTES + (1 << 20))),
    "twice": _twice,
    "every second": _EverySecond(),
    "backwards": _Backwards(),
    "other tags": _other_tags,
    "slow": _slow,
}
HONEST: Way = _honest


class Stranger:
    """A ROUTER in a thread, from its construction to `stop`."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.address = free_address()
        self._stopping = threading.Event()
        self._socket = context.socket(zmq.ROUTER)
        sockets.bind(self._socket, self.address)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def answer(self, frames: Frames) -> list[Frames]:
        """Return the replies to what came in an envelope of a tag and an empty frame."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._socket.poll(20):
                route, *frames = self._socket.recv_multipart()
                for reply in self.answer(frames):
                    self._socket.send_multipart([route, *reply])
        self._socket.close()


class AnyHolder(Stranger):
    """A holder of one thing that answers in its way."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", data: bytes, way: Way = HONEST
    ) -> None:
        self.data = data
        self.thing: Manifest = plain(data)
        self.way = way
        self.requests = 0
        self.complaints: list[int] = []  # The chunks that it was told are wrong.
        self.notes = True  # It answers that.
        super().__init__(context)

    def answer(self, frames: Frames) -> list[Frames]:
        tag, _, body = frames
        self.requests += 1
        request = messages.decode(body, NodeRequest)
        if isinstance(request, WrongChunk):
            self.complaints.append(request.index)
            return [[tag, b"", messages.encode(Noted())]] if self.notes else []
        return self.way(tag, request, self.right(request))

    def right(self, request: ChunkRequest | messages.ManifestRequest) -> Frames:
        if isinstance(request, messages.ManifestRequest):
            reply = messages.encode(ManifestReply(id_of(self.thing), NAME))
            return [reply, manifest.encode(self.thing)]
        index = request.index
        offset, size = self.thing.chunk_offset(index), self.thing.chunk_size(index)
        return [messages.encode(ChunkReply(index)), self.data[offset : offset + size]]


class NamingTracker(Stranger):
    """A tracker that names some holders of one thing, whoever asks."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", thing: Manifest, addresses: list[str]
    ) -> None:
        self.thing = thing
        self.holders = tuple(
            Holder(f"h{number:02}", address, complete=True, alive=True)
            for number, address in enumerate(addresses)
        )
        super().__init__(context)

    def answer(self, frames: Frames) -> list[Frames]:
        tag, empty, body = frames
        if isinstance(messages.decode(body, messages.TrackerRequest), Query):
            reply: Message = Holders(NAME, id_of(self.thing), self.thing.size_bytes, self.holders)
        else:
            reply = messages.Ok(lease_ms=30_000, holdings=0)
        return [[tag, empty, messages.encode(reply)]]


@contextlib.contextmanager
def swarm(
    context: "zmq.Context[zmq.Socket[bytes]]", data: bytes, ways: list[Way]
) -> Iterator[tuple[NamingTracker, list[AnyHolder]]]:
    """Start a holder for each way, and a tracker that names them in this order."""
    holders = [AnyHolder(context, data, way) for way in ways]
    tracker = NamingTracker(context, plain(data), [holder.address for holder in holders])
    try:
        yield tracker, holders
    finally:
        for stranger in (tracker, *holders):
            stranger.stop()

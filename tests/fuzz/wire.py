"""Decoders of what comes over the network and the control socket, with what handles it at once."""

import atexit
from collections.abc import Callable
from typing import Any

import zmq
from shoal.api import roll_call
from shoal.broker import server
from shoal.node.network.front import request_in
from shoal.node.network.link import Link
from shoal.protocol import codec, control, messages
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.permits import Asker, Role, Who
from shoal.wire import control_socket, curve
from shoal.wire.curve import Gate
from shoal.wire.frames import MOST_FRAMES
from shoal.wire.listener import split

from tests.fuzz import sample_messages
from tests.fuzz.decoder import Decoder, pure
from tests.unit.broker.scene import EXAMPLE
from tests.unit.broker.scene import Scene as Tracking
from tests.unit.node.serving.scene import Scene as Serving

FRESH_EVERY = 500  # A tracker remembers what it is told; that is not what one input costs.
FRAME_END = b"\xfe\xff\xfd"


def _seeds(union: Any) -> tuple[bytes, ...]:
    return tuple(codec.pack(plain) for plain in sample_messages.each_of(union))


def _of_messages(union: Any, most_bytes: int = messages.MAX_REPLY_BYTES) -> Decoder:
    def read(data: bytes) -> object:
        return messages.decode(data, union, most_bytes)

    return pure(_seeds(union), read, MalformedMessageError, most_bytes=most_bytes)


def _handled(union: Any, most_bytes: int, fresh: Callable[[], Callable[[Any], object]]) -> Decoder:
    """Return the decoder of requests and the machine that answers them."""
    handle, left = fresh(), FRESH_EVERY

    def read(data: bytes) -> object:
        nonlocal handle, left
        request = messages.decode(data, union, most_bytes)
        if not left:
            handle, left = fresh(), FRESH_EVERY
        left -= 1
        return handle(request)

    return pure(_seeds(union), read, MalformedMessageError, most_bytes=most_bytes)


def _tracker() -> Callable[[messages.TrackerRequest], bytes]:
    scene = Tracking(EXAMPLE)
    return lambda request: messages.encode(
        scene.tracker.handle(request, scene.now, Asker("127.0.0.1")).reply
    )


def _node() -> Callable[[messages.NodeRequest], object]:
    return Serving().arrive


def _frames_of(parts: list[bytes]) -> list[zmq.Frame]:
    return [zmq.Frame(part) for part in parts]


def _frames() -> Decoder:
    """Return what takes the frames of a message apart, wherever that is done."""
    link = Link.__new__(Link)  # Without its sockets.
    link.node, link.reports = "n1", {0}
    readers: tuple[Callable[[list[bytes]], object], ...] = (
        lambda parts: server._decoded((split(_frames_of(parts)) or ([], []))[1]),
        lambda parts: request_in(_frames_of(parts)),
        lambda parts: link._read([memoryview(part) for part in parts]),
        roll_call.state_in,
    )

    def read(data: bytes) -> object:
        which, parts = data[:1] or b"\0", data[1:].split(FRAME_END, MOST_FRAMES)
        return readers[which[0] % len(readers)](parts[:MOST_FRAMES])  # wire.frames drops the rest.

    requests, chunks, replies = map(
        _seeds, (messages.TrackerRequest, messages.NodeRequest, messages.NodeReply)
    )
    seeds = [
        *(b"\0" + FRAME_END.join([b"id", b"tag", b"", body]) for body in requests),
        *(b"\1" + body for body in chunks),
        *(b"\2" + FRAME_END.join([bytes(8), b"", body, b"payload"]) for body in replies[:-2]),
        *(b"\3" + FRAME_END.join([b"state", b"", body]) for body in replies),
    ]
    return pure(tuple(seeds), read, MalformedMessageError)


def _door() -> Decoder:
    """Return what takes apart libzmq's questions about strangers."""
    gate = Gate(bytes(32), lambda key: Who("n1", Role.NODE) if key == bytes(32) else None)
    context = zmq.Context()
    door = curve.Door(context, gate)
    atexit.register(context.destroy)

    def read(data: bytes) -> object:
        mechanism, *credentials = data.split(FRAME_END)
        asked = [b"route", b"", b"1.0", b"1", curve.DOMAIN, b"127.0.0.1", b"", mechanism]
        door._asked([*asked, *credentials])
        if door._waiting:
            door._let_in()
        return door.refused_count

    seeds = (b"NULL", FRAME_END.join((b"PLAIN", b"n1", b"n1")), b"CURVE" + FRAME_END + bytes(32))
    return pure(seeds, read)


WIRE: dict[str, Callable[[], Decoder]] = {
    "to-tracker": lambda: _handled(messages.TrackerRequest, messages.MAX_REQUEST_BYTES, _tracker),
    "from-tracker": lambda: _of_messages(messages.TrackerReply),
    "to-node": lambda: _handled(messages.NodeRequest, messages.MAX_CHUNK_REQUEST_BYTES, _node),
    "from-node": lambda: _of_messages(messages.NodeReply),
    "orders": lambda: _of_messages(control.Order, control_socket.MAX_ORDER_BYTES),
    "reports": lambda: _of_messages(control.Report),
    "frames": _frames,
    "door": _door,
}

"""One connection to one holder: what comes in as events."""

import socket
import time
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from blake3 import blake3
from shoal.node.fetching import steps
from shoal.node.fetching.inflow import WINDOW_BYTES, Inflow
from shoal.node.network import link as link_module
from shoal.node.network.link import MOST_UNASKED, Link
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkReply,
    Error,
    ManifestReply,
    ManifestRequest,
    Noted,
    Nothing,
    WrongChunk,
)
from shoal.protocol.permits import Role, Who
from shoal.wire import sockets
from shoal.wire.connections import Bounds
from shoal.wire.curve import gate_of
from shoal.wire.listener import Listener

from tests.unit.node.things import id_of, plain
from tests.unit.wire.name_service import NameService
from tests.unit.wire.places import LIMIT_S, eventually, free_address, key_pair, replier

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
Frames = list[bytes]
LIMIT_MS = int(1000 * LIMIT_S)
SOME_ID = id_of(plain(b""))


class Scene:
    """A link, and a ROUTER at its other end."""

    def __init__(self, context: Context) -> None:
        self.address = free_address()
        self.router = context.socket(zmq.ROUTER)
        sockets.bind(self.router, self.address)
        self.link = Link(context, "n1", self.address)
        self.link.send(7, ManifestRequest("a.bin"))
        assert self.router.poll(LIMIT_MS)
        self.route, self.tag, empty, body = self.router.recv_multipart()
        assert (empty, messages.decode(body, messages.NodeRequest)) == (
            b"",
            ManifestRequest("a.bin"),
        )

    def close(self) -> None:
        self.link.close()
        self.router.close()

    def event_for(self, *frames: bytes) -> steps.Event:
        """Return what comes of a reply with these frames after the empty one."""
        return self.event_for_envelope([self.tag, b"", *frames])

    def event_for_envelope(self, frames: Frames) -> steps.Event:
        self.router.send_multipart([self.route, *frames])
        assert self.link.socket.poll(LIMIT_MS)
        event = self.link.receive()
        assert event is not None
        return event


@pytest.fixture
def scene(context: Context) -> Iterator[Scene]:
    scene = Scene(context)
    yield scene
    scene.close()


def test_a_chunk_comes_with_its_digest(scene: Scene) -> None:
    event = scene.event_for(messages.encode(ChunkReply(3, b"\x01")), b"bytes")
    digest = blake3(b"bytes").digest()
    assert event == steps.ChunkReceived("n1", 7, 3, 5, digest, b"\x01")
    assert bytes(scene.link.take(7)) == b"bytes"
    with pytest.raises(AssertionError):
        scene.link.take(7)  # It is kept no longer.


def test_each_reply_is_an_event(scene: Scene) -> None:
    manifest_reply = messages.encode(ManifestReply(SOME_ID, "a.bin"))
    assert scene.event_for(manifest_reply, b"data") == steps.ManifestReceived("n1", 7, b"data")
    nothing = messages.encode(Nothing(b"\x02"))
    assert scene.event_for(nothing) == steps.NothingReceived("n1", 7, b"\x02")
    error = messages.encode(Error(WireCode.BUSY, "busy"))
    assert scene.event_for(error) == steps.RequestRefused("n1", 7, WireCode.BUSY, "busy")


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak our protocol"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak our protocol"),
        (b"", "did not complete the handshake"),  # As one that is just being killed.
    ],
)
def test_says_why_a_connection_did_not_come_about(
    context: Context, greeting: bytes, reason: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        link = Link(context, "n1", address)
        peer, _ = server.accept()
        with peer:
            if greeting:
                peer.sendall(greeting)
            else:
                peer.close()
            assert trouble_of(link) == steps.HolderLost("n1", f"{reason} ({address})")
        link.close()


def test_nothing_has_come(scene: Scene) -> None:
    assert scene.link.receive() is None
    assert scene.link.trouble() is None


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"\xc1"],
        [b"\x91" * 3000],
        [messages.encode(ManifestRequest("a"))],
        [messages.encode(ChunkReply(3)), b"x", b"y"],
        [b"x"] * 500,
    ],
)
def test_nonsense_is_proof_against_the_holder(scene: Scene, frames: Frames) -> None:
    event = scene.event_for(*frames)
    assert isinstance(event, steps.HolderLost)
    assert event.lied
    assert event.reason.startswith("sent a malformed message: ")


@pytest.mark.parametrize("envelope", [[b"short", b""], [b"12345678", b"x"], [b"123456789", b""]])
def test_an_envelope_that_we_did_not_send_is_proof_too(scene: Scene, envelope: Frames) -> None:
    event = scene.event_for_envelope([*envelope, messages.encode(Nothing(b""))])
    assert isinstance(event, steps.HolderLost)
    assert event.lied


def trouble_of(link: Link) -> steps.Event:
    trouble = None
    while trouble is None:
        assert link.monitor.poll(LIMIT_MS)
        trouble = link.trouble()
    return trouble


def test_bounds_what_many_holders_send_over_a_slow_link(scene: Scene) -> None:
    inflow = Inflow()
    for step in range(50):
        inflow.arrived(10_000, step * 0.01)
    assert not scene.link.bound(inflow, 8)  # Nothing can be done before it is connected.
    assert scene.link.monitor.poll(LIMIT_MS)
    assert scene.link.trouble() is None
    assert scene.link._connection is not None
    scene.link._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # It has grown.
    before = scene.link._connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert not scene.link.bound(inflow, 3)
    assert scene.link._connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == before
    assert scene.link.bound(inflow, 8)
    after = scene.link._connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    assert WINDOW_BYTES <= after <= 2 * WINDOW_BYTES < before


def test_notices_that_the_connection_was_closed(scene: Scene) -> None:
    scene.router.close()
    event = trouble_of(scene.link)
    assert event == steps.HolderLost("n1", f"closed the connection ({scene.address})")


def test_notices_that_nobody_is_there(context: Context) -> None:
    address = free_address()
    link = Link(context, "n1", address)
    assert trouble_of(link) == steps.HolderLost("n1", f"cannot be reached ({address})")
    link.close()


def test_notices_a_frame_that_is_too_large(scene: Scene) -> None:
    limit = scene.link.socket.getsockopt(zmq.MAXMSGSIZE)
    assert isinstance(limit, int)
    reply = messages.encode(ChunkReply(3))
    scene.router.send_multipart([scene.route, scene.tag, b"", reply, bytes(limit + 1)])
    event = trouble_of(scene.link)
    assert isinstance(event, steps.HolderLost)
    assert not event.lied


def test_notices_who_does_not_speak_the_protocol(context: Context) -> None:
    address = free_address()
    publisher = context.socket(zmq.PUB)
    sockets.bind(publisher, address)
    link = Link(context, "n1", address)
    event = trouble_of(link)
    assert isinstance(event, steps.HolderLost)
    link.close()
    publisher.close()


def test_asking_one_who_does_not_read_does_not_block(context: Context) -> None:
    link = Link(context, "n1", free_address())
    for number in range(5 * sockets.CLIENT_HIGH_WATER):
        link.send(number, ManifestRequest("a.bin"))
    link.close()


@pytest.mark.parametrize("reply", [Noted(), Error(WireCode.UNSUPPORTED, "an older holder")])
def test_no_reply_to_a_report_is_a_refusal(scene: Scene, reply: Message) -> None:
    scene.link.report(7, WrongChunk(SOME_ID, 3, "me"))
    assert scene.event_for(messages.encode(reply)) == steps.ReportNoted("n1", 7)
    assert scene.link.reports == set()
    again = scene.event_for(messages.encode(Error(WireCode.BUSY, "busy")))
    assert isinstance(again, steps.RequestRefused)


def test_a_note_that_nobody_waits_for_is_harmless(scene: Scene) -> None:
    assert scene.event_for(messages.encode(Noted())) == steps.ReportNoted("n1", 7)


def test_a_report_leaves_though_the_link_is_closed_at_once(context: Context, scene: Scene) -> None:
    report = WrongChunk(SOME_ID, 3, "me")
    for _ in range(50):  # Without lingering some would be lost.
        link = Link(context, "n1", scene.address)
        link.report(8, report)
        link.close()
        assert scene.router.poll(LIMIT_MS)
        assert messages.decode(scene.router.recv_multipart()[-1], messages.NodeRequest) == report


def test_one_who_answers_more_than_was_asked_has_lied(scene: Scene) -> None:
    nothing = messages.encode(Nothing(b""))
    for _ in range(1 + MOST_UNASKED):
        assert isinstance(scene.event_for(nothing), steps.NothingReceived)
    lost = scene.event_for(nothing)
    assert lost == steps.HolderLost("n1", "answered more than was asked", lied=True)


def test_one_who_sends_far_more_than_was_asked_has_lied_read_or_not(scene: Scene) -> None:
    assert scene.link.excess() is None  # There is no connection that is known.
    assert scene.link.trouble() is None
    asked_bytes = 3 << 20
    scene.link.send(8, ManifestRequest("a.bin"), asked_bytes)
    reply = [scene.route, scene.tag, b"", messages.encode(ManifestReply(SOME_ID, "a.bin"))]
    scene.router.send_multipart([*reply, bytes(asked_bytes)])
    eventually(lambda: scene.link._connection and scene.link.socket.poll(LIMIT_MS))
    assert scene.link.excess() is None
    for _ in range(5):
        scene.router.send_multipart([*reply, bytes(1 << 20)])
    eventually(lambda: scene.link.excess() is not None)
    lost = scene.link.excess()
    assert lost == steps.HolderLost("n1", "sent more than was asked", lied=True)


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06ROUTER"
LONG_FRAME = b"\x03" + (1 << 20).to_bytes(8, "big")


def test_tells_how_far_away_a_holder_is_once(scene: Scene) -> None:
    greeting = None
    while greeting is None:
        assert scene.link.trouble() is None
        greeting = scene.link.greeting()
    assert greeting.node == "n1"
    assert 0 <= greeting.round_trip_s < LIMIT_S
    assert scene.link.greeting() is None


def test_notices_a_reply_that_is_on_its_way(context: Context) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = Link(context, "n1", f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert not link.is_sending()  # There is no connection that is known.
        holder, _ = server.accept()
        with holder:
            holder.sendall(GREETING + b"\x04" + bytes([len(READY)]) + READY)
            eventually(lambda: link.trouble() is None and link.greeting() is not None)
            assert not link.is_sending()
            holder.sendall(LONG_FRAME + bytes(10_000))
            eventually(link.is_sending)
            eventually(lambda: not link.is_sending())
            link.close()


def test_what_has_come_whole_is_not_on_its_way(scene: Scene) -> None:
    assert scene.link.trouble() is None
    scene.event_for(messages.encode(ManifestReply(SOME_ID, "a.bin")), bytes(100_000))
    assert scene.link._connection is not None
    assert not scene.link.is_sending()


def test_waits_for_a_host_name_beside_everything_else(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = NameService(far="127.0.0.1")
    service.may_answer.clear()
    monkeypatch.setattr(link_module, "HOST_NAMES", service.names)
    address = free_address()
    server = replier(context, address)
    link = Link(context, "n1", address.replace("127.0.0.1", "far"))
    link.send(7, ManifestRequest("a.bin"))
    assert link.reach() is None
    assert not link.is_reached
    assert not server.poll(20)
    service.may_answer.set()
    eventually(lambda: link.reach() is None and link.is_reached)
    assert server.poll(LIMIT_MS)
    assert messages.decode(server.recv(), messages.NodeRequest) == ManifestRequest("a.bin")
    link.close()
    server.close()


def test_a_host_that_nobody_knows_is_lost(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "HOST_NAMES", NameService().names)
    link = Link(context, "n1", "tcp://far:4000")
    eventually(link.reach)
    lost = link.reach()
    assert isinstance(lost, steps.HolderLost)
    assert lost.reason.startswith("cannot be reached: the name service does not know far")
    assert not lost.lied
    link.close()


def test_what_comes_over_a_link_with_keys_is_counted_to_the_byte(context: Context) -> None:
    """Otherwise a holder that answers often would seem to be in the middle of a reply."""
    server, own = key_pair(), key_pair()
    ring = Keyring("n1", server)
    ring.replace(server.public, {}, {own.public: Who("me", Role.NODE)})
    far: Context = zmq.Context()
    listener = Listener(far, address := free_address(), 1000, Bounds(), gate=gate_of(ring))
    link = Link(context, "n1", address, Towards(own, server.public, "me"))
    reply = messages.encode(ChunkReply(3, b""))
    for number in range(50):
        link.send(number, ManifestRequest("a.bin"))
        while (letter := listener.receive(time.monotonic())) is None:
            listener.look(time.monotonic())
        assert listener.send(letter, reply, bytes(10 * number))
        assert link.socket.poll(LIMIT_MS)
        assert isinstance(link.receive(), steps.ChunkReceived)
        link.trouble()
        link.is_sending()
    assert link._begun_bytes == 301  # The handshake.
    link.close()
    listener.close()
    far.term()

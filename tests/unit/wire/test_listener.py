"""A ROUTER for everybody: what it takes in, what it passes over, and whom it cuts off."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.protocol.errors import OperatorError
from shoal.wire import connections, listener, sockets
from shoal.wire.connections import Bounds, Connection
from shoal.wire.listener import Letter, Listener

from tests.unit.wire.places import LIMIT_S, bounds_of, eventually, free_address, port_of

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
MOST_FRAME_BYTES = 64 << 10
SMALL = Bounds(
    most_from_one_host=5,
    most_waiting_bytes=4 << 20,
    most_unsent_bytes=4 << 20,
    growth_bytes=1 << 20,
)
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + b"\0" + bytes(31)
READY = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
PING = b"\x04\x0a\x04PING" + bytes(5)


class Scene:
    def __init__(self, context: Context, bounds: Bounds = SMALL) -> None:
        self.context = context
        self.address = free_address()
        self.over: list[Connection] = []
        self.listener = Listener(
            context, self.address, MOST_FRAME_BYTES, bounds, on_over=self.over.append
        )
        self.clients: list[zmq.Socket[bytes]] = []

    def client(self) -> "zmq.Socket[bytes]":
        self.clients.append(sockets.dealer(self.context, self.address))
        return self.clients[-1]

    def stranger(self, ready: bytes = READY) -> socket.socket:
        """Return a plain socket on which ZMTP's handshake is done."""
        stranger = socket.create_connection(("127.0.0.1", port_of(self.address)), timeout=LIMIT_S)
        stranger.sendall(GREETING + bytes([4, len(ready)]) + ready)
        stranger.settimeout(listener.WATCH_S)
        got = b""
        while len(got) < 64 + 2 + len(READY):
            self.look()  # It decides who is let in.
            with contextlib.suppress(TimeoutError):
                got += stranger.recv(1000)
        stranger.settimeout(LIMIT_S)
        return stranger

    def next(self) -> Letter:
        """Return the next message."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            self.look()
            letter = self.listener.receive(time.monotonic())
            if letter is not None:
                return letter
            self.listener.router.poll(10)
        raise AssertionError("nothing came")

    def look(self) -> list[Connection]:
        return self.listener.look(time.monotonic())

    def ended(self) -> list[Connection]:
        """Return who is cut off next for its size."""
        ended: list[Connection] = []
        until = time.monotonic() + LIMIT_S
        while not ended and time.monotonic() < until:
            ended = self.look()
            time.sleep(listener.WATCH_S / 4)
        return ended

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.listener.close()


@pytest.fixture
def scene(context: Context) -> Iterator[Scene]:
    scene = Scene(context)
    yield scene
    scene.close()


def test_answers_go_to_who_asked(scene: Scene) -> None:
    one, other = scene.client(), scene.client()
    for client, tag in ((one, b"1"), (other, b"2")):
        client.send_multipart([tag, b"more", b"", b"?"])
    for _ in range(2):
        letter = scene.next()
        assert [frame.bytes for frame in letter.body] == [b"?"]
        assert letter.connection.address == "127.0.0.1"
        assert scene.listener.send(letter, b"!", b"payload")
    for client, tag in ((one, b"1"), (other, b"2")):
        assert client.poll(int(1000 * LIMIT_S))
        assert client.recv_multipart() == [tag, b"more", b"", b"!", b"payload"]
    assert scene.listener.connections.count == 2


def test_an_answer_can_be_ended_by_the_caller(scene: Scene) -> None:
    client = scene.client()
    client.send_multipart([b"1", b"", b"?"])
    letter = scene.next()
    assert scene.listener.begin(letter, b"!", 3)
    scene.listener.router.send(b"end")
    assert client.poll(int(1000 * LIMIT_S))
    assert client.recv_multipart() == [b"1", b"", b"!", b"end"]


def test_what_has_no_envelope_is_passed_over(scene: Scene) -> None:
    client = scene.client()
    for frames in ([b"x"], [b"x", b"y"], [b"x"] * (listener.MOST_TAGS + 1) + [b"", b"?"]):
        client.send_multipart(frames)
    client.send_multipart([b"", b"last"])
    assert scene.next().body[0].bytes == b"last"
    assert scene.listener.without_envelope == 3
    assert scene.listener.receive(time.monotonic()) is None


def test_who_has_left_gets_no_answer(scene: Scene) -> None:
    client = scene.client()
    client.send_multipart([b"1", b"", b"?"])
    letter = scene.next()
    client.close()
    eventually(lambda: scene.look() == [] and scene.over == [letter.connection])
    assert not scene.listener.send(letter, b"!")
    assert not scene.listener.begin(letter, b"!", 5)
    assert scene.listener.connections.count == 0


def test_an_address_that_cannot_be_bound_is_said_so(context: Context, scene: Scene) -> None:
    with (
        zmq.Context() as other,
        pytest.raises(OperatorError, match="the port is in use"),
    ):
        Listener(other, scene.address, MOST_FRAME_BYTES, SMALL)


def test_too_long_a_frame_ends_its_connection_and_no_other(scene: Scene) -> None:
    client, stranger = scene.client(), scene.stranger()
    stranger.sendall(b"\x02" + struct.pack(">Q", MOST_FRAME_BYTES + 1) + bytes(1000))
    eventually(lambda: not scene.look() and scene.over)
    client.send_multipart([b"", bytes(MOST_FRAME_BYTES)])
    assert len(scene.next().body[0]) == MOST_FRAME_BYTES
    stranger.close()


def test_bounds_what_waits_in_each_connection(scene: Scene) -> None:
    clients = [scene.client() for _ in range(3)]
    scene.look()
    for client in clients:
        client.send_multipart([b"", b"?"])
    for _ in clients:
        scene.next()
    scene.look()  # A message may come before the monitor has told of its connection.
    bounds = bounds_of(port_of(scene.address), socket.TCP_NOTSENT_LOWAT)
    assert bounds == [sockets.UNSENT_BYTES] * 3
    # Older kernels know no bound for the pauses.
    pauses_ms = bounds_of(port_of(scene.address), sockets.TCP_RTO_MAX_MS)
    assert pauses_ms in ([sockets.MOST_PAUSE_MS] * 3, [])


def test_who_goes_without_a_word_is_noticed_within_half_a_minute(scene: Scene) -> None:
    """Fault 5: nothing is asked of one who is only silent but by TCP itself."""
    client = scene.client()
    client.send_multipart([b"", b"?"])
    scene.next()
    port = port_of(scene.address)
    (idle_s,) = bounds_of(port, socket.TCP_KEEPIDLE)
    (between_s,) = bounds_of(port, socket.TCP_KEEPINTVL)
    (count,) = bounds_of(port, socket.TCP_KEEPCNT)
    assert idle_s + between_s * count <= 30
    (unacknowledged_ms,) = bounds_of(port, socket.TCP_USER_TIMEOUT)
    assert 0 < unacknowledged_ms <= 30_000


def test_a_pong_that_cannot_be_sent_aborts_nothing(scene: Scene) -> None:
    """libzmq#4364: a reset connection whose queue is full, with a PING still to be answered."""
    request = b"\x01\x011\x01\x00\x00\x01?"
    for _ in range(10):
        stranger = scene.stranger()
        with contextlib.suppress(OSError):
            stranger.sendall((request + PING) * 2000)
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stranger.close()
        for _ in range(100):
            scene.listener.receive(time.monotonic())
        scene.look()
    client = scene.client()
    client.send_multipart([b"mine", b"", b"?"])
    while scene.next().envelope[1] != b"mine":
        pass


def test_one_host_s_connections_are_bounded_and_the_silent_ones_go(scene: Scene) -> None:
    busy = scene.client()
    silent = [scene.stranger() for _ in range(4)]
    busy.send_multipart([b"", b"1"])
    scene.next()
    more = [scene.stranger() for _ in range(3)]
    eventually(lambda: not scene.look() and len(scene.over) == 3)
    assert scene.listener.connections.refused_count == 3
    busy.send_multipart([b"", b"2"])
    assert scene.next().body[0].bytes == b"2"
    for each in (*silent, *more):
        each.close()


def test_those_that_ask_nothing_go_before_those_that_did(context: Context) -> None:
    scene = Scene(context, Bounds(most_silent=3, asks_within_s=0.0))
    silent = [scene.stranger() for _ in range(2)]
    busy = scene.client()
    busy.send_multipart([b"", b"1"])
    scene.next()
    more = [scene.stranger() for _ in range(4)]
    eventually(lambda: not scene.look() and len(scene.over) == 3)
    assert scene.listener.connections.count == 4
    busy.send_multipart([b"", b"2"])
    assert scene.next().body[0].bytes == b"2"
    for each in (*silent, *more):
        each.close()
    scene.close()


def endless(stranger: socket.socket, data: bytes) -> threading.Thread:
    """Have a stranger send without end, until it is cut off."""

    def send() -> None:
        with contextlib.suppress(OSError), stranger:
            while True:
                stranger.sendall(data)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("frame_bytes", [1, 60_000])
def test_endless_frames_of_one_message_end_their_connection(scene: Scene, frame_bytes: int) -> None:
    client = scene.client()
    client.send_multipart([b"", b"1"])
    scene.next()
    if frame_bytes < 256:
        frame = bytes([1, frame_bytes]) + bytes(frame_bytes)
    else:
        frame = b"\x03" + struct.pack(">Q", frame_bytes) + bytes(frame_bytes)
    thread = endless(scene.stranger(), frame * (1 + 100_000 // len(frame)))
    ended = scene.ended()
    thread.join()
    assert len(ended) == 1
    client.send_multipart([b"", b"2"])
    assert scene.next().body[0].bytes == b"2"


def test_answers_that_nobody_reads_end_their_connection(scene: Scene) -> None:
    stranger = scene.stranger()
    stranger.sendall(b"\x01\x011\x01\x00\x00\x01?")
    letter = scene.next()
    client = scene.client()
    ended: list[Connection] = []
    until = time.monotonic() + LIMIT_S
    while not ended and time.monotonic() < until:  # First it takes what the process has to spare.
        scene.listener.send(letter, bytes(500_000))
        ended = scene.look()
        time.sleep(listener.WATCH_S / 4)
    assert ended == [letter.connection]
    client.send_multipart([b"", b"2"])
    assert scene.next().body[0].bytes == b"2"
    stranger.close()


def test_what_an_ended_connection_sent_before_is_not_taken_for_a_new_one_s() -> None:
    first, second, last = (b"\0" + number.to_bytes(4) for number in (7, 8, 2**32 - 1))
    assert connections._is_older(first, second)
    assert not connections._is_older(second, first)
    assert connections._is_older(last, first)  # The count begins anew.
    assert not connections._is_older(first, b"")
    assert not connections._is_older(b"chosen", b"before")


@pytest.mark.parametrize("identity", [b"chosen", None], ids=["chosen", "given by libzmq"])
def test_a_stolen_identity_takes_nothing_from_its_owner(
    scene: Scene, identity: bytes | None
) -> None:  # fault 117
    owner = scene.context.socket(zmq.DEALER)
    scene.clients.append(owner)
    if identity is not None:
        owner.setsockopt(zmq.ROUTING_ID, identity)
    owner.connect(scene.address)
    owner.send_multipart([b"1", b"", b"mine"])
    first = scene.next()
    assert identity in {None, first.envelope[0]}
    name = first.envelope[0]
    named = READY + b"\x08Identity" + struct.pack(">I", len(name)) + name
    with scene.stranger(named) as thief:
        thief.sendall(b"\x01\x011\x01\x00\x00\x05stole")
        owner.send_multipart([b"2", b"", b"mine too"])
        second = scene.next()
        assert [frame.bytes for frame in second.body] == [b"mine too"]
        for letter in (first, second):
            assert letter.connection is first.connection
            assert scene.listener.send(letter, b"!")
        tags = []
        for _ in range(2):
            assert owner.poll(int(1000 * LIMIT_S))
            tags.append(owner.recv_multipart()[0])
        assert tags == [b"1", b"2"]
        thief.settimeout(0.2)
        with pytest.raises(TimeoutError):
            thief.recv(1)
        assert scene.listener.receive(time.monotonic()) is None

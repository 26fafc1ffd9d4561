"""Who is let in where there are keys, for how long, and what that adds to each message."""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.keys import KeyPair
from shoal.protocol.permits import Asker, Role, Who
from shoal.wire import curve, frames, listener, sockets
from shoal.wire.connections import Bounds, Connection
from shoal.wire.curve import Gate
from shoal.wire.listener import Letter, Listener

from tests.unit.wire.places import LIMIT_S, eventually, free_address, key_pair, port_of

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
Socket: TypeAlias = "zmq.Socket[bytes]"
MOST_FRAME_BYTES = 64 << 10
BOUNDS = Bounds(most_from_one_host=10_000, most_waiting_bytes=2 << 20, growth_bytes=256 << 10)
N1, N2 = Who("n1", Role.NODE), Who("n2", Role.NODE)
ENDED = int(zmq.EVENT_DISCONNECTED) | sockets.HANDSHAKE_FAILED
UP = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)


class Guarded:
    """A listener that lets in n1 and n2, and those who try to come in."""

    def __init__(self, context: Context) -> None:
        self.context, self.far = context, zmq.Context()
        self.address = free_address()
        self.n1, self.n2, self.unknown, self.server = (key_pair() for _ in range(4))
        self.ring = Keyring("server", self.server)
        self.know(N1, N2)
        self.gate = Gate(self.server.secret, self.ring.who, lambda: self.ring.removals)
        self.over: list[Connection] = []
        self.listener = Listener(
            context, self.address, MOST_FRAME_BYTES, BOUNDS, self.over.append, self.gate
        )
        self.clients: list[tuple[Socket, Socket]] = []

    def know(self, *known: Who) -> None:
        pairs = {N1: self.n1, N2: self.n2}
        self.ring.replace(self.server.public, {}, {pairs[who].public: who for who in known})

    def towards(self, own: KeyPair) -> Towards:
        return Towards(own, self.server.public, "n1")

    def client(self, towards: Towards | None, events: int = ENDED | UP) -> tuple[Socket, Socket]:
        """Return a DEALER and its monitor."""
        self.clients.append(sockets.monitored_dealer(self.far, events, towards))
        self.clients[-1][0].connect(self.address)
        return self.clients[-1]

    def look(self) -> None:
        assert self.listener.look(time.monotonic()) == []

    def refused(self) -> int:
        """Return how many have been refused by now."""
        self.look()
        return self.listener.refused_count

    def next(self) -> Letter:
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            self.look()
            letter = self.listener.receive(time.monotonic())
            if letter is not None:
                return letter
            zmq.zmq_poll([(each, zmq.POLLIN) for each in self.listener.sockets], 10)
        raise AssertionError("nothing came")

    def asked(self, client: Socket) -> Asker:
        """Have a client ask; return who it is."""
        client.send_multipart([b"", b"?"])
        return self.listener.asker(self.next().connection)

    def told(self, monitor: Socket, limit_s: float = LIMIT_S) -> int:
        """Return the next event of a client's, 0 if there is none within the limit."""
        until = time.monotonic() + limit_s
        while time.monotonic() < until:
            self.look()
            if monitor.poll(5):
                return int(sockets.MONITOR.unpack(monitor.recv_multipart()[0])[0])
        return 0

    def close(self) -> None:
        for client, monitor in self.clients:
            client.disable_monitor()
            monitor.close()
            client.close()
        self.far.term()
        self.listener.close()


@pytest.fixture
def guarded(context: Context) -> Iterator[Guarded]:
    guarded = Guarded(context)
    yield guarded
    guarded.close()


def test_whoever_has_a_known_key_is_let_in_and_is_known_by_it(guarded: Guarded) -> None:
    one, _ = guarded.client(guarded.towards(guarded.n1))
    other, _ = guarded.client(guarded.towards(guarded.n2))
    assert guarded.asked(one) == Asker("127.0.0.1", N1)
    assert guarded.asked(other) == Asker("127.0.0.1", N2)
    assert guarded.asked(one) == Asker("127.0.0.1", N1)
    assert guarded.listener.refused_count == 0


def plain_client(context: Context, address: str) -> tuple[Socket, Socket]:
    client = context.socket(zmq.DEALER)
    client.setsockopt(zmq.PLAIN_USERNAME, b"n1")
    client.setsockopt(zmq.PLAIN_PASSWORD, b"secret")
    client.setsockopt(zmq.RECONNECT_IVL, -1)
    client.setsockopt(zmq.LINGER, 0)
    monitor = client.get_monitor_socket(ENDED | UP)
    client.connect(address)
    return client, monitor


@pytest.mark.parametrize("kind", ["unknown", "wrong server", "no keys", "a password"])
def test_nobody_else_is_let_in(guarded: Guarded, kind: str) -> None:
    if kind == "unknown":
        client, monitor = guarded.client(guarded.towards(guarded.unknown))
    elif kind == "wrong server":
        wrong = Towards(guarded.n1, guarded.unknown.public, "n1")
        client, monitor = guarded.client(wrong)
    elif kind == "no keys":
        client, monitor = guarded.client(None)
    else:
        client, monitor = plain_client(guarded.far, guarded.address)
        guarded.clients.append((client, monitor))
    with contextlib.suppress(zmq.Again):  # It may have been refused already.
        client.send_multipart([b"", b"?"], zmq.NOBLOCK)
    event = guarded.told(monitor)
    assert event & sockets.HANDSHAKE_FAILED
    assert guarded.told(monitor, 0.3) in {0, int(zmq.EVENT_DISCONNECTED)}
    assert guarded.told(monitor, 0.3) == 0  # It does not try again.
    assert guarded.listener.receive(time.monotonic()) is None
    assert guarded.listener.refused_count == (1 if kind == "unknown" else 0)


def test_without_an_answer_nobody_is_let_in(guarded: Guarded) -> None:
    client, monitor = guarded.client(guarded.towards(guarded.n1))
    client.send_multipart([b"", b"?"])
    assert not monitor.poll(500)  # Nobody looks.
    assert guarded.told(monitor) == UP
    assert guarded.next().body[0].bytes == b"?"


def test_a_closed_door_lets_nobody_in(guarded: Guarded) -> None:
    assert guarded.listener._door is not None
    guarded.listener._door.close()
    client, monitor = guarded.client(guarded.towards(guarded.n1))
    client.send_multipart([b"", b"?"])
    assert monitor.poll(int(1000 * LIMIT_S))
    event, _ = sockets.MONITOR.unpack(monitor.recv_multipart()[0])
    assert event & sockets.HANDSHAKE_FAILED
    assert guarded.listener.receive(time.monotonic()) is None


def test_a_key_that_is_added_is_let_in_at_once(guarded: Guarded) -> None:
    guarded.know(N1)
    _, monitor = guarded.client(guarded.towards(guarded.n2))
    assert guarded.told(monitor) == zmq.EVENT_HANDSHAKE_FAILED_AUTH
    guarded.know(N1, N2)
    again, _ = guarded.client(guarded.towards(guarded.n2))
    assert guarded.asked(again).who == N2


def test_who_loses_access_is_refused_at_once_and_its_connections_end(guarded: Guarded) -> None:
    one, of_one = guarded.client(guarded.towards(guarded.n1), ENDED)
    other, of_other = guarded.client(guarded.towards(guarded.n2), ENDED)
    _, of_silent = guarded.client(guarded.towards(guarded.n2), ENDED | UP)
    assert guarded.told(of_silent) == UP
    assert guarded.asked(one).who == N1
    assert not guarded.listener.is_refused(guarded.asked(other))
    guarded.know(N1)
    began = time.monotonic()
    assert guarded.listener.is_refused(guarded.asked(other))
    assert guarded.told(of_other) == zmq.EVENT_DISCONNECTED
    assert guarded.told(of_silent) == zmq.EVENT_DISCONNECTED
    assert time.monotonic() - began < 2
    assert guarded.asked(one).who == N1
    assert not of_one.poll(0)


def test_another_role_is_a_loss_of_access_too(guarded: Guarded) -> None:
    admin = {guarded.n1.public: Who("n1", Role.ADMIN)}
    guarded.ring.replace(guarded.server.public, {}, admin)
    removals = guarded.ring.removals
    guarded.ring.replace(guarded.server.public, {}, {**admin, guarded.n2.public: N2})
    assert guarded.ring.removals == removals


def test_the_largest_frame_passes_and_a_larger_one_does_not(guarded: Guarded) -> None:
    client, monitor = guarded.client(guarded.towards(guarded.n1), ENDED)
    client.send_multipart([b"", bytes(MOST_FRAME_BYTES)])
    assert len(guarded.next().body[0]) == MOST_FRAME_BYTES
    client.send_multipart([b"", bytes(MOST_FRAME_BYTES + 1)])
    assert guarded.told(monitor) == zmq.EVENT_DISCONNECTED


HANDSHAKE = (0, -301)  # A client's is counted, and the answers to it are not.


@pytest.mark.parametrize("size", [0, 1, 222, 223, 255, 256, 60_000])
def test_what_a_connection_carries_is_counted_to_the_byte(guarded: Guarded, size: int) -> None:
    """Otherwise those that ask much would be cut off, or might leave much unread."""
    client, _ = guarded.client(guarded.towards(guarded.n1))
    for last_bytes in (size, 100_000):
        client.send_multipart([b"tag", b"", bytes(size)])
        letter = guarded.next()
        assert guarded.listener.send(letter, b"x" * 300, bytes(last_bytes))
        assert guarded.listener.begin(letter, b"body", last_bytes)
        guarded.listener.router.send(bytes(last_bytes))
        for _ in range(2):
            assert client.poll(int(1000 * LIMIT_S))
            client.recv_multipart()
        eventually(lambda: difference(letter.connection) == HANDSHAKE)  # noqa: B023 (called now)


def difference(connection: Connection) -> tuple[int, int]:
    """Return how much more came than is counted, and was counted than the other end confirmed."""
    with sockets.borrowed(connection.number) as opened:
        came, left = sockets.transferred_bytes(opened)
    return came - connection.taken_bytes, connection.given_bytes - left


def test_handshakes_that_nobody_answers_take_no_memory_for_good(guarded: Guarded) -> None:
    for _ in range(200):
        guarded.client(guarded.towards(guarded.unknown), ENDED)
    eventually(lambda: guarded.refused() == 200)


def test_bad_handshakes_are_answered_a_few_at_a_time(guarded: Guarded) -> None:
    count = curve.MOST_ASKED + 10
    for _ in range(count):
        guarded.client(guarded.towards(guarded.unknown), ENDED)
    door = guarded.listener._door
    assert door is not None
    eventually(lambda: door.socket.poll(0))
    time.sleep(0.5)  # Not for luck: all of them should be waiting.
    before = door.refused_count
    door.look(0.0)
    assert 0 < door.refused_count - before <= curve.MOST_ASKED
    eventually(lambda: guarded.refused() == count)


def test_noise_instead_of_a_handshake_stops_nobody(guarded: Guarded) -> None:
    client, _ = guarded.client(guarded.towards(guarded.n1))
    assert guarded.asked(client).who == N1
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01CURVE" + bytes(15) + b"\0" + bytes(31)
    for noise in (b"", os.urandom(300), greeting, greeting + b"\x04\xc8\x05HELLO" + bytes(194)):
        with socket.create_connection(("127.0.0.1", port_of(guarded.address))) as stranger:
            with contextlib.suppress(OSError):
                stranger.sendall(noise)
            assert guarded.asked(client).who == N1


class Tap:
    """A way to a listener for one client, which records what that sends."""

    def __init__(self, port: int) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self.data = b""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[port], daemon=True)
        self._thread.start()

    def _run(self, port: int) -> None:
        near, _ = self._server.accept()
        far = socket.create_connection(("127.0.0.1", port))
        ends = {near: far, far: near}
        with near, far, contextlib.suppress(ConnectionError):  # Its end may be a reset.
            while not self._is_over.is_set():
                for end in select.select([near, far], [], [], 0.01)[0]:
                    data = end.recv(1 << 16)
                    self.data += data if end is near else b""
                    ends[end].sendall(data)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._server.close()


def test_a_recorded_connection_cannot_be_played_again(guarded: Guarded) -> None:  # fault 122
    tap, towards = Tap(port_of(guarded.address)), guarded.towards(guarded.n1)
    client, monitor = sockets.monitored_dealer(guarded.far, UP, towards)
    guarded.clients.append((client, monitor))
    client.connect(tap.address)
    assert guarded.asked(client).who == N1
    tap.close()
    assert len(tap.data) > 64 + 200 + 257  # Greeting, HELLO, INITIATE, and the question.
    with socket.create_connection(("127.0.0.1", port_of(guarded.address))) as stranger:
        stranger.settimeout(0.01)
        stranger.sendall(tap.data)

        def is_cut() -> bool:
            guarded.look()
            try:
                return not stranger.recv(1 << 16)
            except ConnectionResetError:
                return True
            except TimeoutError:
                return False

        eventually(is_cut)
    assert guarded.listener.receive(time.monotonic()) is None
    other, _ = guarded.client(towards)
    assert guarded.asked(other).who == N1


def test_a_door_that_is_taken_is_a_bug_that_shows(guarded: Guarded) -> None:
    with pytest.raises(zmq.ZMQError):
        Listener(guarded.context, free_address(), MOST_FRAME_BYTES, BOUNDS, gate=guarded.gate)


def test_without_a_gate_nobody_is_known(context: Context) -> None:
    open_to_all = Listener(context, address := free_address(), MOST_FRAME_BYTES, BOUNDS)
    client = sockets.dealer(context, address)
    client.send_multipart([b"", b"?"])
    until = time.monotonic() + LIMIT_S
    while (letter := open_to_all.receive(time.monotonic())) is None:
        open_to_all.look(time.monotonic())
        assert time.monotonic() < until
    asker = open_to_all.asker(letter.connection)
    assert asker == Asker("127.0.0.1", None)
    assert not open_to_all.is_refused(asker)
    assert open_to_all.refused_count == 0
    assert curve.key_of(frames_of(letter)) == b""
    client.close()
    open_to_all.close()
    assert listener.GRACE_S < 2


def frames_of(letter: Letter) -> zmq.Frame:
    assert frames.size_on_the_wire(letter.body[0]) == 3
    return letter.body[0]

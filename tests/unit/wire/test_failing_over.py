"""Asking one of several trackers, when some are away, hang, or do not let us in. Virtual clock."""

import functools
import socket
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.protocol import messages
from shoal.protocol.errors import NotAllowedError, OperatorError, TrackerError
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.messages import Error, List, Ok
from shoal.protocol.permits import Role, Who
from shoal.protocol.trackers import Trackers
from shoal.wire import sockets
from shoal.wire.curve import Gate
from shoal.wire.tracker_client import TrackerClient

from tests.unit.wire.places import eventually, free_address, key_pair, port_of
from tests.unit.wire.test_handshake import Guard

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
OK = Ok(lease_ms=1, holdings=2)


class Scene:
    """A client of three trackers, each of which runs if a test wants it to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.trackers = Trackers([free_address() for _ in range(3)])
        self.first, self.second, self.third = self.trackers.addresses
        self.running: dict[str, zmq.Socket[bytes]] = {}
        self.now = 0.0

    @functools.cached_property
    def client(self) -> TrackerClient:
        """It connects as soon as it is made."""
        return TrackerClient(self._context, self.trackers, tries=1)

    def start(self, *addresses: str) -> None:
        for address in addresses:
            self.running[address] = self._context.socket(zmq.ROUTER)
            sockets.bind(self.running[address], address)

    def stop(self, address: str) -> None:
        self.running.pop(address).close(linger=0)

    def send(self) -> None:
        self.client.send(List(), self.now)

    def has_answer(self) -> bool:
        """Look once whether the client has an answer, after letting the one that it asks answer."""
        asked = self.running.get(self.client.address)
        if asked is not None and asked.poll(10):
            *route, _ = asked.recv_multipart()
            asked.send_multipart([*route, messages.encode(OK)])
        return self.client.receive(self.now) == OK

    def error(self) -> OperatorError:
        """Return what comes of a question, a try after the other."""
        self.send()
        with pytest.raises(OperatorError) as caught:  # noqa: PT012 (the loop is what raises)
            for _ in range(20):
                self.now += 0.5
                self.client.receive(self.now)
        return caught.value

    def close(self) -> None:
        self.client.close()
        for address in list(self.running):
            self.stop(address)


@pytest.fixture
def scene(context: Context) -> Iterator[Scene]:
    scene = Scene(context)
    yield scene
    scene.close()


def test_one_that_refuses_the_connection_makes_way_at_once(scene: Scene) -> None:
    scene.start(scene.third)
    scene.send()
    eventually(scene.has_answer)  # No time passes.
    assert scene.client.address == scene.third
    assert scene.trackers.current(scene.now) == scene.third  # For others in this process, too.


def test_one_that_ends_while_it_is_connected_to_makes_way_at_once(scene: Scene) -> None:
    scene.start(scene.second)
    with socket.create_server(("127.0.0.1", port_of(scene.first))) as server:
        scene.send()
        server.accept()[0].close()  # In the middle of the handshake, …
    eventually(scene.has_answer)  # … and no time passes.
    assert scene.client.address == scene.second


def test_one_that_hangs_makes_way_after_a_second_and_is_asked_again_after_thirty(
    scene: Scene,
) -> None:
    scene.start(scene.first, scene.second)
    scene.send()
    assert scene.running[scene.first].poll(10_000)
    scene.now = 0.99
    assert scene.client.receive(scene.now) is None
    assert scene.client.address == scene.first
    scene.now = 1.0
    assert scene.client.receive(scene.now) is None
    assert scene.client.address == scene.second
    eventually(scene.has_answer)
    scene.now = 31.0
    scene.send()
    eventually(scene.has_answer)
    assert scene.client.address == scene.first


def test_one_that_ends_while_nothing_is_asked_makes_way_too(scene: Scene) -> None:
    scene.start(scene.first, scene.second)
    scene.send()
    eventually(scene.has_answer)
    scene.stop(scene.first)

    def has_moved() -> bool:
        assert scene.client.receive(scene.now) is None
        return scene.client.address == scene.second

    eventually(has_moved)
    scene.send()
    eventually(scene.has_answer)


@pytest.mark.parametrize("body", [b"", b"\xc1", bytes(messages.MAX_REPLY_BYTES + (1 << 20))])
def test_one_that_answers_nonsense_or_far_too_much_makes_way_at_once(
    scene: Scene, body: bytes
) -> None:
    """Fault 60."""
    scene.start(scene.first, scene.second)
    scene.send()
    *route, _ = scene.running[scene.first].recv_multipart()
    scene.running[scene.first].send_multipart([*route, body])
    eventually(scene.has_answer)  # No time passes.
    assert scene.client.address == scene.second


def test_if_all_answer_nonsense_that_is_said(scene: Scene) -> None:
    scene.start(*scene.trackers.addresses)
    scene.send()
    asked = set()
    reply = None
    while reply is None:
        asked.add(scene.client.address)
        *route, _ = scene.running[scene.client.address].recv_multipart()
        scene.running[scene.client.address].send_multipart([*route, b"\xc1"])
        assert scene.client.socket.poll(10_000)
        reply = scene.client.receive(scene.now)
    assert isinstance(reply, Error)
    assert reply.message.startswith("the tracker's reply is malformed: ")
    assert asked == set(scene.trackers.addresses)


def test_if_nobody_answers_the_error_names_all_and_then_each_is_tried_again(scene: Scene) -> None:
    scene.start(scene.second)  # Hangs.
    error = scene.error()
    assert isinstance(error, TrackerError)
    every = ", ".join(scene.trackers.addresses)
    assert str(error) == (
        f"no tracker answers, of {every}; start one (shoal tracker), "
        "or correct their addresses in the cluster file"
    )
    scene.now += 1
    scene.start(scene.first)
    scene.send()

    def is_answered() -> bool:
        scene.now += 0.1
        is_first = scene.client.address == scene.first
        return scene.has_answer() if is_first else scene.client.receive(scene.now) is not None

    eventually(is_answered)


@pytest.mark.parametrize("one_knows_us", [True, False])
def test_one_that_does_not_let_us_in_makes_way(context: Context, *, one_knows_us: bool) -> None:
    """It may have an older cluster file."""
    own, server = key_pair(), key_pair()
    ring = Keyring("tracker", server)
    ring.replace(server.public, {}, {own.public: Who("n1", Role.NODE)} if one_knows_us else {})
    stranger = Guard(context, Gate(server.secret, lambda _: None))
    friend = Guard(zmq.Context(), Gate(server.secret, ring.who))
    trackers = Trackers([stranger.address, friend.address])
    trackers.addresses = stranger.address, friend.address
    client = TrackerClient(context, trackers, 1, Towards(own, server.public, "n1"))
    try:
        client.send(List(), 0.0)
        if one_knows_us:
            eventually(lambda: client.receive(0.0) or client.address == friend.address)
            assert not client.is_over
        else:
            with pytest.raises(NotAllowedError, match="does not accept the key of n1"):
                eventually(lambda: client.receive(0.0))
            assert client.is_over
    finally:
        client.close()
        stranger.close()
        friend.close()
        friend.listener.router.context.term()

"""What an operator is told when a tracker does not let us in, and how soon."""

import contextlib
import socket
import threading
import time
from typing import TypeAlias

import pytest
import zmq
from shoal.protocol.errors import NotAllowedError, OperatorError, TrackerError
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.messages import List
from shoal.protocol.permits import Role, Who
from shoal.protocol.trackers import Trackers
from shoal.wire import handshake
from shoal.wire.connections import Bounds, Connection
from shoal.wire.curve import Gate
from shoal.wire.listener import Listener
from shoal.wire.tracker_client import TrackerClient

from tests.unit.wire.places import eventually, free_address, key_pair

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"


class Guard:
    """A thread that looks after a listener, which answers nothing."""

    def __init__(self, context: Context, gate: Gate | None) -> None:
        self.address = free_address()
        self.ended: list[Connection] = []
        self.listener = Listener(context, self.address, 1000, Bounds(), self.ended.append, gate)
        self._is_over = False
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over:
            self.listener.look(time.monotonic())
            time.sleep(0.005)

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        self.listener.close()


def refusal(address: str, towards: Towards | None) -> OperatorError:
    """Return what a client that asks gets, in a context of its own."""
    far: Context = zmq.Context()
    client = TrackerClient(far, Trackers([address]), towards=towards)
    try:
        with pytest.raises(OperatorError) as caught:
            client.ask(List())
        assert client.is_over == isinstance(caught.value, NotAllowedError)
        assert not client.is_waiting
    finally:
        client.close()
        far.term()
    return caught.value


def test_each_cause_is_told_within_two_seconds(context: Context) -> None:
    own, server, other = key_pair(), key_pair(), key_pair()
    ring = Keyring("tracker", server)
    ring.replace(server.public, {}, {own.public: Who("n1", Role.NODE)})
    guard = Guard(context, Gate(server.secret, ring.who))
    open_to_all = Guard(zmq.Context(), None)
    expected = {
        (guard, Towards(other, server.public, "n2")): "does not accept the key of n2; add it",
        (guard, Towards(own, other.public, "n1")): "does not use the key that the cluster file has",
        (guard, None): "lets in only those with keys, and the cluster file has none",
        (open_to_all, Towards(own, server.public, "n1")): "does not use keys, although",
    }
    for (asked, towards), text in expected.items():
        began = time.monotonic()
        error = refusal(asked.address, towards)
        assert isinstance(error, NotAllowedError)
        assert time.monotonic() - began < 2
        assert f"the tracker at {asked.address} {text}" in str(error)
        assert "\n" not in str(error)
    guard.close()
    open_to_all.close()
    open_to_all.listener.router.context.term()


def test_a_wrong_handshake_is_tried_once(context: Context) -> None:
    """Libzmq would repeat it seven times a second."""
    server = key_pair()
    guard = Guard(context, Gate(server.secret, lambda _: None))
    far: Context = zmq.Context()
    client = TrackerClient(
        far, Trackers([guard.address]), 1, Towards(key_pair(), key_pair().public, "n1")
    )
    eventually(lambda: guard.ended)
    time.sleep(1.0)  # Not for luck: nothing may happen.
    assert len(guard.ended) == 1
    client.close()
    far.term()
    guard.close()


def test_a_tracker_that_is_away_is_not_taken_for_one_that_refuses() -> None:
    towards = Towards(key_pair(), key_pair().public, "n1")
    assert isinstance(refusal(free_address(), towards), TrackerError)


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request" + bytes(64), b"\xff\0"])
def test_whatever_is_no_server_of_ours_has_no_mechanism(greeting: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                with server.accept()[0] as opened:
                    opened.sendall(greeting)

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert handshake.mechanism_at(address) is None
        event = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        assert handshake.refusal(address, address, event, None) is None
        thread.join()


def test_a_handshake_that_fails_without_a_reason_is_tried_again_for_as_long_as_any() -> None:
    """Each by a socket of its own: libzmq would repeat a wrong one without end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"

        count = 0

        def hang_up() -> None:
            nonlocal count
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()
                    count += 1

        thread = threading.Thread(target=hang_up)
        thread.start()
        far: Context = zmq.Context()
        client = TrackerClient(far, Trackers([address]), 1, Towards(key_pair(), bytes(32), "n1"))
        with pytest.raises(TrackerError, match="does not answer"):
            client.ask(List())
        assert client.is_over
        client.close()
        far.term()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        assert count >= 4  # Two tries, and after each a look at the greeting.

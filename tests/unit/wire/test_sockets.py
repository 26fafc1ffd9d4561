"""Sockets as they must be set up, and what is said when they cannot be."""

import contextlib
import random
import socket
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq
from shoal.protocol import messages
from shoal.protocol.errors import OperatorError, UnavailableError
from shoal.protocol.manifest import MAX_CHUNK_BYTES
from shoal.wire import curve, sockets

from tests.unit.wire.places import LIMIT_S, eventually, free_address, port_of, replier

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
LIMIT_MS = int(1000 * LIMIT_S)


def echo(server: "zmq.Socket[bytes]", client: "zmq.Socket[bytes]", request: bytes) -> bytes:
    client.send_multipart([b"tag", b"", request])
    assert server.poll(LIMIT_MS)
    server.send(server.recv())
    assert client.poll(LIMIT_MS)
    tag, empty, reply = client.recv_multipart()
    assert (tag, empty) == (b"tag", b"")
    return reply


def test_a_client_never_stops_reading_and_frames_have_a_limit(context: Context) -> None:
    """A connection that is reset while nobody reads from it may abort the process."""
    client = sockets.dealer(context, free_address())
    assert int(client.getsockopt(zmq.SNDHWM)) >= 2 * sockets.MAX_OUTSTANDING
    assert client.getsockopt(zmq.MAXMSGSIZE) == MAX_CHUNK_BYTES + sockets.FRAME_SLACK_BYTES
    to_tracker, monitor = sockets.tracker_dealer(context, random.Random(7))
    most_bytes = messages.MAX_REPLY_BYTES + curve.ADDED_BYTES
    assert to_tracker.getsockopt(zmq.MAXMSGSIZE) == most_bytes
    to_tracker.disable_monitor()
    monitor.close()
    for each in (client, to_tracker):
        assert each.getsockopt(zmq.RCVHWM) == 0
        each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_listens_at_numbers_and_names(context: Context, host: str) -> None:
    address = f"tcp://{host}:{port_of(free_address())}"
    if host == "[::1]" and not _has_ipv6():
        pytest.skip("there is no IPv6 here")
    server = replier(context, address)
    client = sockets.dealer(context, address)
    assert echo(server, client, b"hello") == b"hello"
    client.close()
    server.close()


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (
            "192.0.2.1",
            "or correct it in the cluster file; behind NAT or in a container, add `listen` there",
        ),
        ("no-such-host.invalid", "the name service does not know no-such-host.invalid: "),
    ],
)
def test_says_that_an_address_is_elsewhere(context: Context, host: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words) as refused:
        replier(context, f"tcp://{host}:{port_of(free_address())}")
    assert type(refused.value) is UnavailableError


def test_says_that_a_port_is_taken(context: Context) -> None:
    address = free_address()
    server = replier(context, address)
    with pytest.raises(OperatorError, match=f"cannot listen on {address}: the port is in use"):
        replier(context, address)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(OperatorError, match="the port is in use"):
            replier(context, f"tcp://127.0.0.1:{taken}")
    server.close()


def replier_again(context: Context, address: str) -> "zmq.Socket[bytes]":
    """Bind where a socket was just closed, which takes effect in another thread."""
    made: list[zmq.Socket[bytes]] = []

    def is_made() -> bool:
        with contextlib.suppress(OperatorError):
            made.append(replier(context, address))
        return bool(made)

    eventually(is_made)
    return made[0]


def test_a_port_is_free_again_soon(context: Context) -> None:
    """Connections in TIME_WAIT do not keep a node from starting again."""
    address = free_address()
    for _ in range(3):
        server = replier_again(context, address)
        client = sockets.dealer(context, address)
        echo(server, client, b"hello")
        server.close()
        client.close()


def test_a_number_that_is_no_connection_any_more_gives_none(tmp_path: Path) -> None:
    assert sockets.connection(999_999) is None
    with (tmp_path / "file").open("wb") as file:
        assert sockets.connection(file.fileno()) is None


def test_measures_the_round_trip_and_bounds_the_window() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        found = sockets.connection(client.fileno())
        assert found is not None
        client.sendall(b"x")
        assert accepted.recv(1) == b"x"
        assert 0 <= sockets.round_trip_s(found) < LIMIT_S
        accepted.sendall(b"12345")
        assert client.recv(5) == b"12345"
        assert sockets.transferred_bytes(found) == (5, 2)  # TCP counts its greeting too.
        sockets.bound_window(found, 50_000)
        assert 50_000 <= client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) <= 100_000
        for each in (client, accepted, found):
            each.close()
        assert sockets.round_trip_s(found) == 0.0
        assert sockets.transferred_bytes(found) == (0, 0)
        sockets.bound_window(found, 50_000)  # Too late, and no harm.


def test_the_largest_chunk_arrives(context: Context) -> None:
    address = free_address()
    server = replier(context, address)
    client = sockets.dealer(context, address)
    client.send_multipart([b"tag", b"", b"chunk, please"])
    server.recv()
    server.send(bytes(MAX_CHUNK_BYTES))
    assert client.poll(LIMIT_MS)
    assert len(client.recv_multipart()[2]) == MAX_CHUNK_BYTES
    client.close()
    server.close()


def test_a_holder_s_connection_does_not_come_back_by_itself(context: Context) -> None:
    address = free_address()
    server = replier(context, address)
    client = sockets.dealer(context, address)
    echo(server, client, b"hello")
    monitor = client.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECTED)
    server.close()
    assert monitor.poll(LIMIT_MS)
    monitor.recv_multipart()
    server = replier_again(context, address)
    assert not monitor.poll(700)
    client.disable_monitor()
    monitor.close()
    client.close()
    server.close()


def test_a_tracker_s_connection_comes_back(context: Context) -> None:
    address = free_address()
    client, monitor = sockets.tracker_dealer(context, random.Random(7))
    client.connect(address)
    server = replier(context, address)
    assert echo(server, client, b"hello") == b"hello"
    server.close()
    server = replier_again(context, address)

    def has_asked() -> bool:  # What was sent into the old connection's end is lost: ask again.
        client.send_multipart([b"tag", b"", b"again"])
        return bool(server.poll(200))

    eventually(has_asked)
    assert server.recv() == b"again"
    server.send(b"yes")
    assert client.poll(LIMIT_MS)
    assert client.recv_multipart() == [b"tag", b"", b"yes"]
    client.disable_monitor()
    monitor.close()
    client.close()
    server.close()


def test_another_file_that_has_a_connection_s_descriptor_by_now_is_left_alone() -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(OSError, match="another file"), sockets.borrowed(one.fileno()):
        pass

"""Messages of several frames over real sockets: whole, in order, or not at all."""

from collections.abc import Iterator

import pytest
import zmq
from shoal.wire import frames

from tests.unit.wire.places import eventually

Pair = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]
MESSAGES = [[b"one"], [b"tag", b"", b"body"], [b"", b"", bytes(100_000)], [b""]]


@pytest.fixture
def pair() -> Iterator[Pair]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    here, there = context.socket(zmq.DEALER), context.socket(zmq.DEALER)
    for sock in (here, there):
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.SNDHWM, 16)
        sock.setsockopt(zmq.RCVHWM, 16)
    port = here.bind_to_random_port("tcp://127.0.0.1")
    there.connect(f"tcp://127.0.0.1:{port}")
    yield here, there
    context.destroy(0)


def received(sock: "zmq.Socket[bytes]") -> list[bytes]:
    found: list[list[zmq.Frame]] = []

    def has_come() -> bool:
        message = frames.receive(sock)
        if message is not None:
            found.append(message)
        return bool(found)

    eventually(has_come)
    return [frame.bytes for frame in found[0]]


def test_what_is_sent_is_received(pair: Pair) -> None:
    here, there = pair
    assert frames.receive(here) is None
    for message in MESSAGES:
        assert frames.send(there, message)
        assert received(here) == message
    assert frames.receive(here) is None


def test_pyzmq_s_own_ways_see_the_same(pair: Pair) -> None:
    here, there = pair
    for message in MESSAGES:
        assert frames.send(there, message)
        assert here.recv_multipart() == message
        there.send_multipart(message)
        assert received(here) == message


def test_where_there_is_no_room_nothing_is_sent(pair: Pair) -> None:
    here, there = pair
    message = [b"tag", b"", bytes(1 << 20)]
    sent = 0
    while frames.send(there, message):
        sent += 1
    assert 0 < sent < 1000
    assert [received(here) for _ in range(sent)] == [message] * sent
    assert frames.receive(here) is None


def test_tells_the_connections_of_frames_apart() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as listener:
        listener.setsockopt(zmq.RCVTIMEO, 5000)
        port = listener.bind_to_random_port("tcp://127.0.0.1")
        descriptors = []
        with context.socket(zmq.DEALER) as one, context.socket(zmq.DEALER) as other:
            for sock in (one, other):
                sock.connect(f"tcp://127.0.0.1:{port}")
            for sock in (one, other, one):
                sock.send(b"?")
                first, *_ = listener.recv_multipart(copy=False)
                descriptors.append(frames.descriptor(first))
    assert descriptors[0] == descriptors[2] != descriptors[1]
    assert min(descriptors) > 0


def test_a_frame_of_a_transport_without_connections_has_none() -> None:
    with zmq.Context() as context, context.socket(zmq.PAIR) as here:
        here.bind("inproc://here")
        with context.socket(zmq.PAIR) as there:
            there.connect("inproc://here")
            there.send(b"?")
            assert frames.descriptor(here.recv(copy=False)) == -1


def test_knows_what_a_frame_takes_on_the_wire() -> None:
    sizes = [frames.size_on_the_wire(zmq.Frame(bytes(size))) for size in (0, 255, 256)]
    assert sizes == [2, 257, 265]

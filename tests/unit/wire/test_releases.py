"""What is sent without a copy is kept until libzmq lets go of it, and the sender hears of that."""

import os
import sys
import threading
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.wire.releases import Releases

from tests.unit.wire.places import LIMIT_S, free_address

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
LIMIT_MS = int(1000 * LIMIT_S)
LONG = os.urandom(zmq.COPY_THRESHOLD)


class Pair:
    """Two ends of a connection, and what one of them has sent."""

    def __init__(self, context: Context) -> None:
        address = free_address()
        self.sender, self.receiver = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for sock in (self.sender, self.receiver):
            sock.setsockopt(zmq.LINGER, 0)
        self.sender.bind(address)
        self.receiver.connect(address)
        self.releases = Releases()

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()
        self.releases.close()


@pytest.fixture
def pair(context: Context) -> Iterator[Pair]:
    pair = Pair(context)
    yield pair
    pair.close()


def test_says_when_each_has_left(pair: Pair) -> None:
    for number in (7, 3, 5):
        pair.releases.send(pair.sender, LONG, number)
    assert [pair.receiver.recv() for _ in range(3)] == [LONG] * 3
    left: list[int] = []
    while len(left) < 3:
        assert pair.releases.socket.poll(LIMIT_MS)
        left += pair.releases.taken()
    assert left == [7, 3, 5]


def test_is_kept_until_it_has_left_and_no_longer(pair: Pair) -> None:
    data = os.urandom(len(LONG))
    owners = sys.getrefcount(data)
    pair.releases.send(pair.sender, data, 1)
    assert sys.getrefcount(data) > owners
    assert pair.receiver.recv() == data
    assert pair.releases.socket.poll(LIMIT_MS)
    pair.releases.taken()
    assert sys.getrefcount(data) == owners


def test_what_was_refused_is_released_too(pair: Pair, context: Context) -> None:
    deaf = context.socket(zmq.PULL)
    with pytest.raises(zmq.ZMQError):
        pair.releases.send(deaf, LONG, 9)
    assert pair.releases.socket.poll(LIMIT_MS)
    assert pair.releases.taken() == [9]
    deaf.close()


def test_others_are_told_of_their_own_only(pair: Pair, context: Context) -> None:
    other = Pair(context)
    pair.releases.send(pair.sender, LONG, 3)

    def send() -> None:
        for number in range(5):
            other.releases.send(other.sender, LONG, number)

    sending = threading.Thread(target=send)
    sending.start()
    sending.join()
    for _ in range(5):
        other.receiver.recv()
    pair.receiver.recv()
    left: list[int] = []
    while len(left) < 5:
        assert other.releases.socket.poll(LIMIT_MS)
        left += other.releases.taken()
    assert left == [*range(5)]
    assert pair.releases.socket.poll(LIMIT_MS)
    assert pair.releases.taken() == [3]
    other.close()


def test_all_other_sends_are_pyzmq_s(pair: Pair) -> None:
    tracker = pair.sender.send(LONG, copy=False, track=True)
    assert tracker is not None
    pair.receiver.recv()
    tracker.wait(LIMIT_S)
    assert not pair.releases.socket.poll(20)


def test_what_nobody_takes_is_let_go_when_its_socket_closes(context: Context) -> None:
    releases, sock = Releases(), context.socket(zmq.PAIR)
    sock.setsockopt(zmq.LINGER, 0)
    sock.connect(free_address())  # Nobody is there.
    for number in range(10):
        releases.send(sock, LONG, number)
    sock.close()
    releases.close()
    assert releases.socket.closed


def test_is_never_closed_before_libzmq_has_let_go(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.wire.releases.CLOSE_S", 0.02)
    releases, sock = Releases(), context.socket(zmq.PAIR)
    sock.connect(free_address())
    releases.send(sock, LONG, 1)
    releases.close()  # What was sent waits in a socket that is open.
    assert not releases.socket.closed
    sock.close(linger=0)
    monkeypatch.undo()
    releases.close()
    assert releases.socket.closed

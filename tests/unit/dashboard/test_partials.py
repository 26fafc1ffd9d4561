"""Holders asked again and again which chunks they have, over one connection each."""

import contextlib
import time
from collections.abc import Iterator

import pytest
import zmq
from shoal.dashboard import partials as module
from shoal.dashboard.partials import Partials
from shoal.protocol import messages
from shoal.protocol.messages import State, StateRequest

ID = f"b3:{7:064x}"
LIMIT_S = 10.0
Context = zmq.Context[zmq.Socket[bytes]]
Holder = zmq.Socket[bytes]


@contextlib.contextmanager
def scene(count: int) -> Iterator[tuple[Partials, dict[str, str], list[Holder]]]:
    """Give what asks, the addresses of so many holders, and their sockets."""
    context: Context = zmq.Context()
    holders, addresses = [], {}
    for number in range(count):
        sock = context.socket(zmq.ROUTER)
        port = sock.bind_to_random_port("tcp://127.0.0.1")
        addresses[f"n{number}"] = f"tcp://127.0.0.1:{port}"
        holders.append(sock)
    asks = Partials(context, "a", ID, None)
    try:
        yield asks, addresses, holders
    finally:
        asks.close()
        for sock in holders:
            sock.close(linger=0)
        context.term()


def answer(holder: Holder, state: State) -> list[bytes]:
    """Answer one request, and return who asked."""
    assert holder.poll(int(1000 * LIMIT_S))
    who, tag, _, body = holder.recv_multipart()
    assert messages.decode(body, messages.NodeRequest) == StateRequest("a", ID)
    holder.send_multipart([who, tag, b"", messages.encode(state)])
    return [who]


def told(asks: Partials, addresses: dict[str, str], node: str, state: State) -> bool:
    """Ask until a node has told that, or for too long."""
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        asks.ask(addresses)
        if asks.told.get(node) == state:
            return True
    return False


def test_takes_in_what_is_told_now_or_in_the_next_round() -> None:
    with scene(2) as (asks, addresses, holders):
        asks.ask(addresses)
        assert asks.told == {}
        one, other = State("part", 1, 2, 2, b"\x01"), State("part", 2, 2, 2, b"\x03")
        first = answer(holders[0], one)
        assert told(asks, addresses, "n0", one)
        asks.ask(addresses)
        assert answer(holders[0], other) == first  # The same connection.
        assert told(asks, addresses, "n0", other)
        assert set(asks.told) == {"n0"}


def test_who_is_not_meant_any_more_is_forgotten() -> None:
    with scene(1) as (asks, addresses, holders):
        asks.ask(addresses)
        answer(holders[0], State("part", 1, 2))
        assert told(asks, addresses, "n0", State("part", 1, 2))
        asks.ask({})
        assert asks.told == {}


def test_nonsense_is_no_state() -> None:
    with scene(1) as (asks, addresses, holders):
        asks.ask(addresses)
        assert holders[0].poll(int(1000 * LIMIT_S))
        who, tag, _, _ = holders[0].recv_multipart()
        holders[0].send_multipart([who, tag, b"", b"nonsense"])
        asks.ask(addresses)
        assert asks.told == {}


def test_asks_a_silent_one_again_over_another_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOST_S", 0.0)
    with scene(1) as (asks, addresses, holders):
        asks.ask(addresses)
        assert holders[0].poll(int(1000 * LIMIT_S))
        first, *_ = holders[0].recv_multipart()
        asks.ask(addresses)
        assert answer(holders[0], State("part")) != [first]


def test_each_has_its_turn_if_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ASKED", 2)
    with scene(3) as (asks, addresses, holders):
        asks.ask(addresses)
        assert [bool(holder.poll(0)) for holder in holders] == [True, True, False]
        asks.ask(addresses)
        assert holders[2].poll(int(1000 * LIMIT_S))


def test_a_name_that_does_not_exist_is_not_asked() -> None:
    with scene(0) as (asks, _, _):
        asks.ask({"n1": "tcp://no-such-host.invalid:11001"})
        assert asks.told == {}

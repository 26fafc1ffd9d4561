"""Asking a tracker that answers, is late, talks nonsense, or is not there."""

import threading
import time
from collections.abc import Callable
from typing import TypeAlias

import pytest
import zmq
from shoal.protocol import messages
from shoal.protocol.errors import OperatorError, StoppedError, TrackerError, WireCode
from shoal.protocol.messages import Error, List, Ok, Query
from shoal.protocol.trackers import Trackers
from shoal.wire import host_names, sockets, tracker_client
from shoal.wire.tracker_client import TrackerClient

from tests.unit.wire.name_service import NameService
from tests.unit.wire.places import LIMIT_S, eventually, free_address, port_of

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
Frames = list[bytes]
OK = messages.encode(Ok(lease_ms=1, holdings=2))


class Tracker:
    """A ROUTER that answers as each test wants it to."""

    def __init__(self, context: Context, address: str) -> None:
        self.socket = context.socket(zmq.ROUTER)
        sockets.bind(self.socket, address)

    def hear(self) -> Frames:
        assert self.socket.poll(int(1000 * LIMIT_S))
        return self.socket.recv_multipart()

    def answer(self, body: bytes = OK) -> None:
        route, tag, empty, _ = self.hear()
        self.socket.send_multipart([route, tag, empty, body])

    def in_background(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work)
        thread.start()
        return thread


def test_asks_and_returns_the_answer(context: Context) -> None:
    tracker = Tracker(context, address := free_address())
    client = TrackerClient(context, Trackers([address]))
    thread = tracker.in_background(tracker.answer)
    assert client.ask(List()) == Ok(lease_ms=1, holdings=2)
    thread.join()
    client.close()
    tracker.socket.close()


def test_says_within_three_seconds_that_nobody_answers(context: Context) -> None:
    address = free_address()
    client = TrackerClient(context, Trackers([address]))
    began = time.monotonic()
    with pytest.raises(OperatorError, match=f"{address} does not answer; start it") as lost:
        client.ask(List())
    assert 2.9 < time.monotonic() - began < 4
    assert isinstance(lost.value, TrackerError)
    client.close()


def test_may_be_told_to_stop_while_it_waits(context: Context) -> None:
    client = TrackerClient(context, Trackers([free_address()]))
    began = time.monotonic()

    def check() -> None:
        if time.monotonic() - began > 0.1:
            raise StoppedError("interrupted")

    with pytest.raises(OperatorError, match="interrupted"):
        client.ask(List(), check)
    assert time.monotonic() - began < 0.9
    client.close()


class Asked:
    """A client with a virtual clock, and the tracker it asks."""

    def __init__(self, context: Context, tries: int = 3) -> None:
        address = free_address()
        self.tracker = Tracker(context, address)
        self.client = TrackerClient(context, Trackers([address]), tries)
        self.now = 0.0

    def receive(self) -> object:
        assert self.client.socket.poll(int(1000 * LIMIT_S))
        return self.client.receive(self.now)

    def close(self) -> None:
        self.client.close()
        self.tracker.socket.close()


def test_tries_again_and_then_gives_up(context: Context) -> None:
    asked = Asked(context)
    asked.client.send(List(), asked.now)
    heard = []
    for try_number in range(3):
        heard.append(asked.tracker.hear())
        assert asked.client.deadline == asked.now + 1
        assert asked.client.receive(asked.now + 0.99) is None
        asked.now += 1
        if try_number < 2:
            assert asked.client.receive(asked.now) is None
    with pytest.raises(TrackerError):
        asked.client.receive(asked.now)
    assert (asked.client.is_waiting, asked.client.deadline) == (False, None)
    assert asked.client.receive(asked.now) is None
    assert len({tag for _, tag, _, _ in heard}) == 3
    asked.close()


def test_a_late_answer_is_not_taken_for_another(context: Context) -> None:
    asked = Asked(context)
    asked.client.send(List(), 0)
    route, first_tag, _, _ = asked.tracker.hear()
    asked.client.send(Query("a.bin"), 0)
    _, second_tag, _, _ = asked.tracker.hear()
    asked.tracker.socket.send_multipart([route, first_tag, b"", OK])
    assert asked.receive() is None
    error = messages.encode(Error(WireCode.NOT_FOUND, "no"))
    asked.tracker.socket.send_multipart([route, second_tag, b"", error])
    assert asked.receive() == Error(WireCode.NOT_FOUND, "no")
    asked.tracker.socket.send_multipart([route, second_tag, b"", OK])
    assert asked.receive() is None
    asked.close()


@pytest.mark.parametrize("extra", [[], [b"x", OK], [b"", OK, b""]])
def test_what_is_not_in_our_envelope_is_not_for_us(context: Context, extra: Frames) -> None:
    asked = Asked(context)
    asked.client.send(List(), 0)
    route, tag, _, _ = asked.tracker.hear()
    asked.tracker.socket.send_multipart([route, tag, *extra])
    assert asked.receive() is None
    assert asked.client.is_waiting
    asked.close()


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", OK[:-1], OK + b"\0", b"\x91" * 2000])
def test_nonsense_is_an_answer_too(context: Context, body: bytes) -> None:
    asked = Asked(context)
    asked.client.send(List(), 0)
    asked.tracker.answer(body)
    reply = asked.receive()
    assert isinstance(reply, Error)
    assert reply.message.startswith("the tracker's reply is malformed: ")
    asked.close()


def test_a_tracker_that_was_away_is_not_flooded_with_what_was_said_meanwhile(
    context: Context,
) -> None:
    """Fault 58: 1,000 nodes that tried for an hour would each send some 300 old messages."""
    address = free_address()
    client = TrackerClient(context, Trackers([address]), tries=1)
    now = 0.0
    for _ in range(50):
        client.send(List(), now)
        now += 1
        with pytest.raises(TrackerError):
            client.receive(now)
    tracker = Tracker(context, address)
    heard = [tracker.hear()]
    while tracker.socket.poll(200):
        heard.append(tracker.hear())
    assert len(heard) <= 4
    client.send(List(), now)
    tracker.answer()
    assert client.socket.poll(int(1000 * LIMIT_S))
    assert client.receive(now) == Ok(lease_ms=1, holdings=2)
    client.close()
    tracker.socket.close()


def test_an_answer_that_nobody_waits_for_any_more_wakes_nobody_again(context: Context) -> None:
    """A node whose tracker had answered too late polled without a pause until its next renewal."""
    tracker = Tracker(context, address := free_address())
    client = TrackerClient(context, Trackers([address]), tries=1)
    client.send(List(), 0.0)
    route, tag, empty, _ = tracker.hear()
    with pytest.raises(TrackerError):
        client.receive(1.0)
    tracker.socket.send_multipart([route, tag, empty, OK])
    assert client.socket.poll(int(1000 * LIMIT_S))
    assert client.receive(2.0) is None
    assert not client.socket.poll(0)
    client.close()
    tracker.socket.close()


def test_asks_a_tracker_that_comes_late(context: Context) -> None:
    address = free_address()
    client = TrackerClient(context, Trackers([address]))
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(client.ask(List())))
    thread.start()
    time.sleep(0.3)  # Not for luck: it must have begun to ask, and it asks for three seconds.
    tracker = Tracker(context, address)
    tracker.answer()
    thread.join(LIMIT_S)
    assert answers == [Ok(lease_ms=1, holdings=2)]
    client.close()
    tracker.socket.close()


def test_waits_for_the_tracker_s_name_as_for_the_tracker(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = NameService(far="127.0.0.1")
    service.may_answer.clear()
    monkeypatch.setattr(tracker_client, "HOST_NAMES", service.names)
    tracker = Tracker(context, address := free_address())
    client = TrackerClient(context, Trackers([address.replace("127.0.0.1", "far")]))
    thread = tracker.in_background(tracker.answer)
    asked = []

    def check() -> None:
        asked.append(True)
        service.may_answer.set()

    assert client.ask(List(), check) == Ok(lease_ms=1, holdings=2)
    assert asked
    thread.join()
    client.close()
    tracker.socket.close()


@pytest.mark.parametrize(
    ("answers", "words"),
    [(True, "the name service does not know far"), (False, "is still being looked up")],
)
def test_says_that_the_tracker_s_name_is_the_trouble(
    context: Context, monkeypatch: pytest.MonkeyPatch, words: str, *, answers: bool
) -> None:
    service = NameService()
    if not answers:
        service.may_answer.clear()
    monkeypatch.setattr(tracker_client, "HOST_NAMES", service.names)
    client = TrackerClient(context, Trackers(["tcp://far:4000"]), tries=2)
    with pytest.raises(TrackerError, match=words):
        client.ask(List())
    service.may_answer.set()
    client.close()


def test_finds_a_tracker_that_has_moved(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_names, "KEEP_S", 0.0)
    service = NameService(far="127.0.0.1")
    monkeypatch.setattr(tracker_client, "HOST_NAMES", service.names)
    port = port_of(free_address())
    client = TrackerClient(context, Trackers([f"tcp://far:{port}"]), tries=1)
    for numbers in ("127.0.0.1", "127.0.0.2"):
        service.known["far"] = numbers
        tracker = Tracker(context, f"tcp://{numbers}:{port}")
        thread = tracker.in_background(tracker.answer)
        answers: list[object] = []

        def ask(answers: list[object] = answers) -> bool:
            try:
                answers.append(client.ask(List()))
            except TrackerError:
                return False
            return True

        eventually(ask)
        assert answers == [Ok(lease_ms=1, holdings=2)]
        thread.join()
        tracker.socket.close()
    client.close()

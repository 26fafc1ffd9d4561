"""The thread that keeps a tracker informed, with a tracker that is there, or not."""

import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.node.network.session import Session
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import messages
from shoal.protocol.message import Message
from shoal.protocol.messages import Leave, Ok, Renew, Told, Update, Withdrawal
from shoal.protocol.trackers import Trackers

from tests.unit.node.hostile import Frames, Stranger
from tests.unit.node.serving.test_announcer import holding
from tests.unit.node.things import rng
from tests.unit.wire.places import eventually, free_address

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
SETTINGS = NodeSettings(renew_s=0.2, tracker_patience_s=0.1)


class ListeningTracker(Stranger):
    """Says yes to everything, and knows what it was told."""

    def __init__(self, context: Context) -> None:
        self.pause_s = 0.0
        self.heard: list[Message] = []
        self.known: set[str] = set()
        super().__init__(context)

    def answer(self, frames: Frames) -> list[Frames]:
        tag, empty, body = frames
        message = messages.decode(body, messages.TrackerRequest)
        time.sleep(self.pause_s)
        self.heard.append(message)
        if isinstance(message, Update):
            kept = set() if message.replace else self.known
            self.known = kept - {one.name for one in message.withdrawn}
            self.known |= {one.name for one in message.holdings}
        token = "t1" if isinstance(message, Update) and not message.token else ""
        reply = Ok(lease_ms=1000, holdings=len(self.known), token=token)
        return [[tag, empty, messages.encode(reply)]]


class Node:
    """What the session speaks for."""

    def __init__(self, context: Context, *trackers: str) -> None:
        announcer = Announcer("n1", "tcp://10.0.1.1:11000", 1, rng(), SETTINGS)
        self.told: list[Told] = []
        self.tokens: list[str] = []
        told = self.told.append, self.tokens.append
        self.session = Session(context, Trackers(trackers), announcer, *told)
        self.session.tell(holding("a=1"))
        self.session.tell_that_is_all()

    def lose(self, text: str) -> None:
        lost = holding(text)
        self.session.tell(Withdrawal(lost.name, lost.id))


@pytest.fixture
def tracker(context: Context) -> Iterator[ListeningTracker]:
    tracker = ListeningTracker(context)
    yield tracker
    tracker.stop()


def test_keeps_the_tracker_informed(context: Context, tracker: ListeningTracker) -> None:
    node = Node(context, tracker.address)
    node.session.start()
    assert node.session.flush(5)
    assert tracker.known == {"a"}
    node.session.tell(holding("b=1"))
    assert node.session.flush(5)
    assert tracker.known == {"a", "b"}
    node.lose("a=1")
    assert node.session.flush(5)
    assert tracker.known == {"b"}
    assert (node.tokens, node.session.token()) == (["t1"], "t1")
    eventually(lambda: any(isinstance(message, Renew) for message in tracker.heard))
    node.session.stop()
    assert isinstance(tracker.heard[-1], Leave)


def test_goes_on_with_another_tracker_and_tells_it_nothing_twice(context: Context) -> None:
    both = [ListeningTracker(context), ListeningTracker(context)]
    node = Node(context, *(tracker.address for tracker in both))
    node.session.start()
    assert node.session.flush(5)
    first, second = sorted(both, key=lambda tracker: not tracker.heard)
    assert second.heard == []
    second.known = first.known  # As by the log that they share.
    first.stop()
    eventually(lambda: second.heard)
    node.session.tell(holding("b=1"))
    assert node.session.flush(5)
    assert isinstance(second.heard[0], Renew)
    updates = [message for message in second.heard if isinstance(message, Update)]
    assert [[one.name for one in update.holdings] for update in updates] == [["b"]]
    node.session.stop()
    second.stop()


def test_says_goodbye_even_while_an_answer_is_awaited(
    context: Context, tracker: ListeningTracker
) -> None:
    tracker.pause_s = 0.05
    node = Node(context, tracker.address)
    node.session.start()
    assert node.session.flush(5)
    node.session.tell(holding("b=1"))
    eventually(lambda: node.session._announcer.deadline is None)
    node.session.stop()
    assert isinstance(tracker.heard[-1], Leave)


def test_after_the_end_nobody_waits_for_the_tracker(
    context: Context, tracker: ListeningTracker
) -> None:
    node = Node(context, tracker.address)
    node.session.start()
    assert node.session.flush(5)
    node.session.stop()
    assert not node.session.flush(3600)


def test_many_threads_may_report_changes(context: Context, tracker: ListeningTracker) -> None:
    node = Node(context, tracker.address)
    node.session.start()
    flushed: list[bool] = []

    def report(name: str) -> None:
        for number in range(20):
            node.session.tell(holding(f"{name}{number}=1"))
            flushed.append(node.session.flush(5) and f"{name}{number}" in tracker.known)

    threads = [threading.Thread(target=report, args=(name,)) for name in "wxyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert flushed == [True] * 80
    node.session.stop()


def test_goes_on_trying_without_a_tracker_and_ends_soon(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "shoal.node")
    node = Node(context, free_address())
    node.session.start()
    assert not node.session.flush(0.1)
    eventually(lambda: "does not answer" in caplog.text)
    began = time.monotonic()
    node.session.stop()
    assert time.monotonic() - began < 1
    assert caplog.text.count("does not answer") == 1


def test_one_that_was_never_started_can_be_stopped(context: Context) -> None:
    Node(context, free_address()).session.stop()

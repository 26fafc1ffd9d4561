"""The connections of one download: who has something to say, with real sockets."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

import pytest
import zmq
from shoal.node.fetching.inflow import MANY_HOLDERS, Inflow
from shoal.node.network.link import REPORT_MS, Link
from shoal.node.network.links import Links
from shoal.protocol import messages
from shoal.protocol.messages import ManifestRequest, Noted, Nothing, WrongChunk
from shoal.wire.frames import has_mail
from shoal.wire.wake import Wake

from tests.unit.wire.places import LIMIT_S, eventually, free_address, replier

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"


class Scene:
    """Two holders that answer when they are told to, and the links to them."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.wake = Wake()
        self.tracker = context.socket(zmq.DEALER)
        self.links = Links(self.wake, self.tracker)
        self.holders = {}
        for node in ("n1", "n2"):
            address = free_address()
            self.holders[node] = replier(context, address)
            self.links.add(Link(context, node, address))

    def ask(self, node: str, number: int) -> None:
        self.links[node].send(number, ManifestRequest("a.bin"))
        self.links.touch(self.links[node])

    def answer(self, node: str) -> None:
        assert self.holders[node].poll(int(1000 * LIMIT_S))
        self.holders[node].recv_multipart()
        self.holders[node].send(messages.encode(Nothing(b"")))

    def heard(self, timeout_s: float = LIMIT_S) -> list[str]:
        """Return who has said something, waiting again for those with mere signals."""
        until = time.monotonic() + timeout_s
        said: list[str] = []
        while not said and time.monotonic() < until:
            for link in self.links.wait(until - time.monotonic()):
                while link.receive() is not None:
                    said.append(link.node)
        return said

    def close(self) -> None:
        self.links.close()
        for holder in self.holders.values():
            holder.close()
        self.tracker.close()
        self.wake.close()


@pytest.fixture
def scene(context: Context) -> Iterator[Scene]:
    made = Scene(context)
    yield made
    made.close()


def test_tells_who_has_something_to_say(scene: Scene) -> None:
    scene.ask("n1", 1)
    scene.ask("n2", 2)
    scene.answer("n2")
    assert scene.heard() == ["n2"]
    scene.answer("n1")
    assert scene.heard() == ["n1"]
    assert scene.heard(0.05) == []


def test_no_reply_is_missed_however_it_falls_between_requests(scene: Scene) -> None:
    """A signal that is taken in while something is sent announces nothing any more."""
    for number in range(300):
        scene.ask("n1", number)
        scene.answer("n1")
        if number % 2:
            eventually(lambda: has_mail(scene.links["n1"].socket))  # Takes the signal in.
            scene.ask("n1", 1000 + number)
            assert scene.heard() == ["n1"]
            scene.answer("n1")
        assert scene.heard() == ["n1"]


def test_what_is_left_is_told_again(scene: Scene) -> None:
    for number in range(3):
        scene.ask("n1", number)
    for _ in range(3):
        scene.answer("n1")
    eventually(lambda: has_mail(scene.links["n1"].socket))
    link = scene.links["n1"]
    assert link in scene.links.wait(LIMIT_S)
    assert link.receive() is not None
    scene.links.touch(link)
    eventually(lambda: link in scene.links.wait(0))
    assert link.receive() is not None


def test_wakes_up_when_it_is_told_to(scene: Scene) -> None:
    assert scene.heard(0.2) == []  # Takes in that the connections stand.
    timer = threading.Timer(0.05, scene.wake.set)
    timer.start()
    began = time.monotonic()
    assert scene.links.wait(LIMIT_S) == []
    assert time.monotonic() - began < LIMIT_S
    timer.join()


def test_what_the_tracker_says_too_late_wakes_once(scene: Scene, context: Context) -> None:
    address = free_address()
    tracker = context.socket(zmq.ROUTER)
    tracker.bind(address)
    scene.tracker.connect(address)
    scene.tracker.send(b"where?")
    asker, _ = tracker.recv_multipart()
    assert scene.heard(0.2) == []  # Takes in that the connections stand.
    assert not has_mail(scene.tracker)  # The fetch gives up.
    tracker.send_multipart([asker, b"there"])
    eventually(lambda: select.select([scene.tracker.fileno()], [], [], 0)[0])
    assert scene.links.wait(LIMIT_S) == []
    began = time.monotonic()
    assert scene.links.wait(0.3) == []
    assert time.monotonic() - began > 0.25
    assert scene.tracker.recv() == b"there"  # It is not lost.
    tracker.close()


def test_a_link_that_is_removed_is_closed_and_forgotten(scene: Scene) -> None:
    link = scene.links["n1"]
    scene.links.touch(link)
    assert (link in scene.links, len(scene.links)) == (True, 2)
    scene.links.remove("n1")
    assert (link in scene.links, len(scene.links)) == (False, 1)
    assert link.socket.closed
    assert (len(scene.links), scene.links["n2"].node) == (1, "n2")


def test_bounds_each_connection_once(scene: Scene) -> None:
    inflow = Inflow()
    for step in range(50):
        inflow.arrived(10_000, step * 0.01)
    links = [scene.links[node] for node in ("n1", "n2")]
    for link in links:  # They have grown.
        connected(link).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    before = [receive_buffer(link) for link in links]
    scene.links.bound(inflow)
    assert [receive_buffer(link) for link in links] == before  # Of two holders TCP sees to it.
    for number in range(MANY_HOLDERS):
        scene.links.add(Link(scene.context, f"far{number}", free_address()))
    scene.links.bound(inflow)
    assert all(receive_buffer(link) < one for link, one in zip(links, before, strict=True))
    connected(links[0]).setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    changed = receive_buffer(links[0])
    scene.links.bound(inflow)
    assert receive_buffer(links[0]) == changed


def connected(link: Link) -> socket.socket:
    eventually(lambda: link._connection is not None or link.trouble() or link._connection)
    assert link._connection is not None
    return link._connection


def receive_buffer(link: Link) -> int:
    size_bytes: int = connected(link).getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    return size_bytes


def test_tells_of_a_lost_connection_without_being_asked(scene: Scene) -> None:
    scene.ask("n1", 1)
    scene.answer("n1")
    assert scene.heard() == ["n1"]
    assert {link.node for link in scene.links.changed()} == {"n1", "n2"}
    for link in (scene.links["n1"], scene.links["n2"]):
        assert link.trouble() is None
    scene.holders["n2"].close()
    until = time.monotonic() + LIMIT_S
    changed: list[str] = []
    while not changed and time.monotonic() < until:
        scene.links.wait(until - time.monotonic())
        changed = [link.node for link in scene.links.changed()]
    assert changed == ["n2"]
    eventually(lambda: scene.links["n2"].trouble() is not None)


def test_what_was_received_to_the_last_is_not_looked_at_again(scene: Scene) -> None:
    scene.ask("n1", 1)
    scene.answer("n1")
    assert scene.heard() == ["n1"]
    scene.links.touch(scene.links["n1"])
    scene.links.is_empty(scene.links["n1"])
    assert scene.links.wait(0.05) == []
    scene.ask("n1", 2)
    scene.answer("n1")
    assert scene.heard() == ["n1"]


def report_to(scene: Scene, node: str) -> None:
    scene.links[node].report(9, WrongChunk(f"b3:{0:064x}", 3, "me"))


def test_is_closed_when_all_reports_are_noted(scene: Scene) -> None:
    scene.ask("n1", 1)
    report_to(scene, "n1")
    link = scene.links["n1"]

    def answer() -> None:
        scene.answer("n1")  # This is dropped.
        assert scene.holders["n1"].poll(int(1000 * LIMIT_S))
        scene.holders["n1"].recv_multipart()
        scene.holders["n1"].send(messages.encode(Noted()))

    thread = threading.Thread(target=answer)
    thread.start()
    scene.links.close()
    thread.join()
    assert link.reports == set()


def test_waits_for_no_note_of_one_who_is_gone_or_silent(scene: Scene) -> None:
    report_to(scene, "n1")
    scene.holders["n1"].close()
    report_to(scene, "n2")
    began = time.monotonic()
    scene.links.close()
    assert time.monotonic() - began >= REPORT_MS / 1000  # n2 is given so long, and no longer.
    assert len(scene.links) == 0

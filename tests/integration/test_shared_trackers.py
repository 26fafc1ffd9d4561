"""Two trackers on real sockets, and a store in memory that they share."""

import errno
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from shoal.broker.condition import Condition
from shoal.broker.server import Server
from shoal.broker.settings import ServerSettings
from shoal.broker.shared_saver import CLOSE_S
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol.addresses import split
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Ok, Query, Status, TrackerStatus
from shoal.protocol.pushing import Push, Target
from shoal.wire.wake import Wake

from tests.integration.cluster import free_address
from tests.integration.running_tracker import NODES, Client, content_id, update, wait_until
from tests.unit.broker.shared_store import MemoryLog, MemoryStore

SETTINGS = ServerSettings(exchange_patience_s=0.2, retry_exchange_s=0.02, away_after_s=0.3)


class SharingTracker:
    """A tracker in a thread of this process."""

    def __init__(self, log: MemoryLog) -> None:
        address = free_address()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        store = MemoryStore(log)
        nodes = {name: InitialNode(node.address) for name, node in NODES.items()}
        initial = Initial(address, nodes, accepts_pushes=True)
        self.tracker = Tracker(
            initial, random.Random(1), time.monotonic(), store.load(), shares=True
        )
        self.server = Server(self.tracker, store, time.monotonic, SETTINGS)
        self.server.bind(self._context, address)
        self._stop = Wake()
        self._thread = threading.Thread(target=self.server.serve, args=(self._stop,))
        self._thread.start()
        self.address = address
        self.store = store

    def ask(self, message: Message) -> Any:
        """Ask through a connection of its own."""
        client = Client(self._context, self.address)
        try:
            return client.ask(message)
        finally:
            client.close()

    def holders(self, name: str) -> list[str]:
        reply = self.ask(Query(name))
        return [] if isinstance(reply, Error) else sorted(one.node for one in reply.holders)

    def counters(self) -> dict[str, int]:
        reply = self.ask(Status())
        assert isinstance(reply, TrackerStatus)
        return reply.counters

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.server.close()
        self._stop.close()
        self._context.term()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def both(log: MemoryLog) -> Iterator[tuple[SharingTracker, SharingTracker]]:
    both = SharingTracker(log), SharingTracker(log)
    yield both
    log.answers.set()
    for each in both:
        each.close()


Both = tuple[SharingTracker, SharingTracker]
PUSH = Push("a.txt", content_id(1), 10, Target())


def test_each_hears_of_what_the_other_is_told(both: Both) -> None:
    one, two = both
    one.ask(update("n1", "a.txt"))
    wait_until(lambda: two.holders("a.txt") == ["n1"])
    two.ask(update("n1", "b.txt", sequence=2))  # It has moved over.
    wait_until(lambda: one.holders("b.txt") == ["n1"])
    assert isinstance(two.ask(PUSH), Ok)
    wait_until(lambda: one.tracker.revision != 0)


def test_goes_on_from_memory_while_the_store_is_away(
    both: Both, log: MemoryLog, tmp_path: Path
) -> None:
    one, two = both
    one.ask(update("n1", "a.txt"))
    log.is_away = True
    wait_until(lambda: one.counters()["store_away"] == 1)
    one.ask(update("n2", "a.txt"))
    assert one.holders("a.txt") == ["n1", "n2"]
    reply = one.ask(PUSH)
    assert isinstance(reply, Error)
    assert reply.code is WireCode.NOT_SAVED
    condition = Condition(one.tracker, one.server, one.store, tmp_path)
    assert condition.unready() == ["the store is away: it is away"]
    log.is_away = False
    wait_until(lambda: two.holders("a.txt") == ["n1", "n2"])
    assert condition.unready() == []


def test_a_store_that_hangs_stalls_nobody(both: Both, log: MemoryLog) -> None:
    one, two = both
    one.ask(update("n1", "a.txt"))
    log.answers.clear()
    one.ask(update("n2", "a.txt"))
    began = time.monotonic()
    for _ in range(50):
        assert one.holders("a.txt") == ["n1", "n2"]
    assert time.monotonic() - began < 50 * SETTINGS.exchange_patience_s
    wait_until(lambda: one.counters()["store_away"] == 1)
    log.answers.set()
    wait_until(lambda: two.holders("a.txt") == ["n1", "n2"])


def test_who_stops_is_gone_at_once_though_the_store_hangs(log: MemoryLog) -> None:
    tracker = SharingTracker(log)
    log.answers.clear()
    began = time.monotonic()
    closing = threading.Thread(target=tracker.close)
    closing.start()
    wait_until(lambda: _is_free(tracker.address))
    took_s = time.monotonic() - began
    log.answers.set()
    closing.join()
    assert took_s < CLOSE_S / 2


def _is_free(address: str) -> bool:
    host, port = split(address)
    with socket.socket() as client:
        return client.connect_ex((host, port)) == errno.ECONNREFUSED


def test_says_again_what_the_store_has_lost(both: Both, log: MemoryLog) -> None:
    one, two = both
    one.ask(update("n1", "a.txt"))
    two.ask(update("n2", "b.txt"))
    one.ask(PUSH)
    log.lose(3)  # What n1 said is left.
    wait_until(lambda: len(log.entries) > 6)
    for each in both:
        wait_until(lambda: each.holders("a.txt") == ["n1"] and each.holders("b.txt") == ["n2"])  # noqa: B023
        wait_until(lambda: each.tracker.revision != 0)  # noqa: B023

"""The tracker on a real socket, with a real file and clock: broker/server.py and all below it."""

import logging
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import zmq
from shoal.broker.server import Server
from shoal.broker.settings import ServerSettings
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import Exchanged
from shoal.broker.tracking.changes import Change, Renewed
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol import messages
from shoal.protocol.errors import OperatorError, WireCode
from shoal.protocol.messages import (
    Error,
    Holders,
    Leave,
    List,
    Ok,
    Query,
    Renew,
    Status,
)
from shoal.protocol.pushing import Push, Wishes
from shoal.wire import sockets

from tests.integration.running_tracker import (
    NODES,
    Client,
    RunningTracker,
    content_id,
    holder_names,
    update,
    wait_until,
)

MOST_OUT = 128  # Requests that one connection may have out.


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[RunningTracker]:
    with RunningTracker(tmp_path) as running:
        yield running


@pytest.fixture
def client(tracker: RunningTracker) -> Iterator[Client]:
    with tracker.client() as connected:
        yield connected


def test_s2_an_update_adds_the_sender(client: Client) -> None:
    for node in ("n1", "n2"):
        reply = client.ask(update(node, "new.txt"))
        assert reply == Ok(lease_ms=30_000, holdings=1, token=reply.token)
    assert holder_names(client.ask(Query("new.txt", "n3"))) == ["n1", "n2"]
    assert client.ask(Renew("n1", epoch=1, holdings=1)) == Ok(lease_ms=30_000, holdings=1)
    assert client.ask(Leave("n1", epoch=1)) == Ok(lease_ms=30_000, holdings=1)
    assert holder_names(client.ask(Query("new.txt", "n3"))) == ["n2"]


def test_s5_one_client_that_dawdles_holds_nobody_up(tracker: RunningTracker) -> None:
    with tracker.client() as client, tracker.client() as dawdler:
        for sequence in range(4):
            names = (f"{'long' * 50}{sequence}/{index}" for index in range(100))
            client.ask(update("n1", *names, sequence=sequence + 1))
        dawdler.socket.setsockopt(zmq.SNDHWM, 10_000)
        for _ in range(3000):  # It never reads the 100 MB it asks for.
            dawdler.socket.send_multipart([b"", messages.encode(List())])
        # Each of our own requests is answered while the dawdler's pile up, until it is cut off.
        while not client.ask(Status()).counters.get("cut_off", 0):
            assert holder_names(client.ask(Query("net.txt"))) == ["n2"]


def test_s5_many_clients_are_answered_at_the_same_time(tracker: RunningTracker) -> None:
    sockets = [tracker.socket(zmq.DEALER) for _ in range(100)]
    for index, each in enumerate(sockets):
        for request in range(20):
            query = messages.encode(Query("seeds.txt", "n1"))
            each.send_multipart([f"{index}/{request}".encode(), b"", query])
    for index, each in enumerate(sockets):
        for request in range(20):
            assert each.poll(5000)
            tag, _, body = each.recv_multipart()
            assert tag == f"{index}/{request}".encode()
            assert holder_names(messages.decode(body, messages.TrackerReply)) == ["n2", "n3"]
        each.close()


class GatedStore:
    """A store that saves only when the test lets it."""

    is_shared = False

    def __init__(self, store: SqliteStore, gate: threading.Semaphore) -> None:
        self._exchange, self._gate = store.exchange, gate
        self.load, self.trouble, self.close = store.load, store.trouble, store.close

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        assert self._gate.acquire(timeout=30)
        return self._exchange(changes, renewed)


def test_a_flood_of_updates_takes_no_turns_of_others(tmp_path: Path) -> None:
    """Fault 65: one that asks for little does not wait for all that another one has sent."""
    gate = threading.Semaphore(0)
    with (
        RunningTracker(tmp_path, wrap_store=lambda store: GatedStore(store, gate)) as tracker,
        tracker.client() as client,
    ):
        flooder = tracker.socket(zmq.DEALER)
        for sequence in range(1, MOST_OUT + 1):
            body = messages.encode(update("n1", f"{sequence}", sequence=sequence))
            flooder.send_multipart([b"", body])
        gate.release()
        assert flooder.poll(10_000)  # The flood has begun.
        client.socket.send_multipart([b"", messages.encode(Status())])
        most_rounds = MOST_OUT // ServerSettings().round_requests
        rounds = 1
        while not client.socket.poll(500) and rounds <= most_rounds:
            gate.release()
            rounds += 1
        for _ in range(MOST_OUT):  # The rest.
            gate.release()
        assert rounds <= most_rounds // 2
        flooder.close()


def test_never_stops_reading_from_a_connection(tracker: RunningTracker) -> None:
    """If it did, or sent heartbeats, one that is reset could abort the process (libzmq#4364)."""
    router = tracker.router
    assert router.getsockopt(zmq.RCVHWM) == 0
    assert router.getsockopt(zmq.HEARTBEAT_IVL) == 0
    assert router.getsockopt(zmq.TCP_KEEPALIVE) == 1
    assert router.getsockopt(zmq.TCP_MAXRT) == sockets.UNACKNOWLEDGED_MS


def test_s12_what_happens_can_be_seen(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shoal.tracker")
    client.ask(update("n1", "seeds.txt"))
    client.ask(Query("seeds.txt", "n1"))
    client.ask(Status())
    assert caplog.messages == [
        "n1 joined at tcp://127.0.0.1:11001",
        "n1 holds seeds.txt",
        "n1 no longer holds seeds.txt (it requested it)",
        "n1 asked for seeds.txt: sent to n2, n3",
    ]


def test_req_clients_and_tags_of_all_kinds_are_answered(tracker: RunningTracker) -> None:
    query = messages.encode(Query("net.txt"))
    req = tracker.socket(zmq.REQ)
    req.send(query)
    assert req.poll(5000)
    assert isinstance(messages.decode(req.recv(), messages.TrackerReply), Holders)
    req.close()
    with tracker.client() as client:
        for tags in ((), (b"1",), (b"1", b"22", b"333", b"4" * 1000)):
            assert isinstance(client.ask_frames(*tags, b"", query), Holders)


def test_silence_is_noticed_without_any_requests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "shoal.tracker")
    with RunningTracker(tmp_path, TrackerSettings(lease_s=0.1)) as tracker:
        tracker.ask(update("n1", "new.txt"))
        wait_until(lambda: "n1 went silent" in caplog.messages, limit_s=0.9)
        reply = tracker.ask(Query("new.txt"))
        assert (reply.holders, [holder.node for holder in reply.offline]) == ((), ["n1"])


def test_a_restart_keeps_what_was_announced(tmp_path: Path) -> None:
    with RunningTracker(tmp_path) as tracker:
        tracker.ask(update("n1", "new.txt"))
        tracker.ask(update("n2", "new.txt", version=2))
        tracker.ask(Query("seeds.txt", "n3"))
    with RunningTracker(tmp_path) as tracker:
        reply = tracker.ask(Query("new.txt"))
        assert holder_names(reply) == ["n1"]
        assert [each.holders for each in reply.versions] == [1]
        assert tracker.ask(Query("seeds.txt")).code == WireCode.NOT_FOUND
        assert tracker.ask(Renew("n1", epoch=1, holdings=1)) == Ok(30_000, holdings=1)


def test_stops_quickly_under_load(tmp_path: Path) -> None:
    with RunningTracker(tmp_path) as tracker:
        query = messages.encode(Query("net.txt"))
        flooder = tracker.socket(zmq.DEALER)
        is_over = threading.Event()

        def flood() -> None:
            for _ in range(128):  # As many as a client may have out.
                flooder.send_multipart([b"", query])
            while not is_over.is_set():
                if flooder.poll(100):
                    flooder.recv_multipart()
                    flooder.send_multipart([b"", query])

        thread = threading.Thread(target=flood)
        thread.start()
        wait_until(lambda: tracker.counters()["requests"] > 1000)
        began = time.monotonic()
        tracker.stop()
        assert time.monotonic() - began < 2
        is_over.set()
        thread.join()


def test_a_taken_port_is_an_operators_error(tmp_path: Path) -> None:
    with RunningTracker(tmp_path) as running:
        assert_cannot_bind(running.address, "the port is in use", tmp_path)


def test_an_address_of_another_machine_is_an_operators_error(tmp_path: Path) -> None:
    assert_cannot_bind("tcp://192.0.2.1:12000", "does not belong to this machine", tmp_path)
    assert_cannot_bind("tcp://nosuch.invalid:12000", "nosuch.invalid", tmp_path)


def assert_cannot_bind(address: str, reason: str, folder: Path) -> None:
    tracker = Tracker(Initial(address), random.Random(7), now=0)
    server = Server(tracker, SqliteStore(folder / "unused.db"), time.monotonic)
    with zmq.Context() as context:
        with pytest.raises(OperatorError, match=reason):
            server.bind(context, address)
        server.close()


def test_listens_where_a_host_name_points_to(tmp_path: Path) -> None:
    with RunningTracker(tmp_path) as running:
        port = int(running.address.rpartition(":")[2])
    running = RunningTracker(tmp_path)
    running.address = f"tcp://localhost:{port}"
    with running, socket.create_connection(("localhost", port), timeout=5):
        assert holder_names(running.ask(Query("net.txt"))) == ["n1", "n2"]


def test_a_push_that_is_not_saved_is_not_acknowledged(tmp_path: Path) -> None:
    """A tracker that ended later had forgotten it, and nobody knew."""

    def accepting(tracker: Tracker) -> Tracker:
        tracker.learn(Initial(tracker._state.initial.address, NODES, accepts_pushes=True))
        return tracker

    settings = ServerSettings(retry_save_s=0.05, poll_s=0.05)
    push = Push("a", content_id(1), 10)
    with RunningTracker(tmp_path, None, settings, accepting) as tracker:
        tracker.ask(update("n1", "a"))
        connection = tracker.store._connection
        assert connection is not None
        connection.execute("PRAGMA query_only = 1")
        for _ in range(2):
            refusal = tracker.ask(push)
            assert isinstance(refusal, Error)
            assert refusal.code is WireCode.NOT_SAVED
        assert [one.name for one in tracker.ask(Wishes("n2")).wishes] == ["a"]
        connection.execute("PRAGMA query_only = 0")
        wait_until(lambda: isinstance(tracker.ask(push), Ok))
    with RunningTracker(tmp_path) as tracker:
        assert [one.name for one in tracker.ask(Wishes("n2")).wishes] == ["a"]

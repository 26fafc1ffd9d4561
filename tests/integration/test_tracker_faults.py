"""Strangers, bugs and failing disks: the tracker on a real socket goes on serving."""

import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import pytest
import zmq
from shoal.broker.settings import ServerSettings
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import Exchanged
from shoal.broker.tracking.changes import Change, Renewed
from shoal.broker.tracking.tracker import Expiry, Outcome, Tracker
from shoal.protocol import addresses, messages
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import List, Query, TrackerRequest
from shoal.protocol.permits import Asker
from shoal.protocol.pushing import News

from tests.integration.running_tracker import (
    Client,
    RunningTracker,
    holder_names,
    update,
    wait_until,
)

QUERY = messages.encode(Query("net.txt"))
SIGNATURE = b"\xff" + bytes(8) + b"\x7f"


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[RunningTracker]:
    with RunningTracker(tmp_path) as running, running.client() as honest:
        assert_serves(honest)
        yield running
        assert_serves(honest)  # The same connection: nobody was cut with the stranger.
        assert running.counters().get("bugs", 0) == 0


@pytest.fixture
def client(tracker: RunningTracker) -> Iterator[Client]:
    with tracker.client() as connected:
        yield connected


def assert_serves(client: Client) -> None:
    assert holder_names(client.ask(Query("net.txt"))) == ["n1", "n2"]


def connected(tracker: RunningTracker) -> socket.socket:
    return socket.create_connection(addresses.split(tracker.address), timeout=8)


def greeting(major: int = 3, mechanism: bytes = b"NULL") -> bytes:
    return SIGNATURE + bytes([major, 0]) + mechanism.ljust(20, b"\0") + b"\0" + bytes(31)


def ready(socket_type: bytes) -> bytes:
    """Return the ZMTP command READY."""
    body = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(socket_type)) + socket_type
    return bytes([4, len(body)]) + body


def shaken_hands(tracker: RunningTracker, socket_type: bytes = b"DEALER") -> socket.socket:
    """Return a plain socket on which ZMTP's handshake is done."""
    stranger = connected(tracker)
    stranger.sendall(greeting() + ready(socket_type))
    received(stranger, 64)
    _, size = received(stranger, 2)
    received(stranger, size)
    return stranger


def received(stranger: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += stranger.recv(size - len(data))
    return data


def is_cut(stranger: socket.socket) -> bool:
    try:
        while stranger.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "opening",
    [
        random.Random(1).randbytes(4096),
        b"GET / HTTP/1.1\r\nHost: tracker\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(600),
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        SIGNATURE + bytes([3, 0]) + b"CURVE".ljust(20, b"\0") + bytes(32),
        greeting() + ready(b"PUB"),
        greeting() + ready(b"REP"),
        greeting() + ready(b"NONSENSE"),
        greeting() + b"\x04\x05READY",
        greeting() + bytes(4096),
    ],
    ids=[
        "random",
        "HTTP",
        "TLS",
        "SSH",
        "CURVE",
        "PUB",
        "REP",
        "nonsense",
        "short command",
        "zeros",
    ],
)
def test_cuts_connections_that_speak_another_protocol(
    tracker: RunningTracker, opening: bytes
) -> None:
    with connected(tracker) as stranger:
        stranger.sendall(opening)
        assert is_cut(stranger)


def test_cuts_connections_that_say_nothing_or_next_to_nothing(tracker: RunningTracker) -> None:
    with connected(tracker) as silent, connected(tracker) as dripping:
        began = time.monotonic()
        for byte in SIGNATURE:
            dripping.sendall(bytes([byte]))
        assert is_cut(silent)
        assert is_cut(dripping)
        assert time.monotonic() - began < 7


def test_survives_hang_ups_at_any_point(tracker: RunningTracker) -> None:
    whole = greeting() + ready(b"DEALER") + b"\x01\x00" + bytes([0, len(QUERY)]) + QUERY
    for length in range(0, len(whole), 3):
        with connected(tracker) as stranger:
            stranger.sendall(whole[:length])


def test_cuts_connections_that_speak_an_older_zmtp(tracker: RunningTracker) -> None:
    for opening in (
        b"\x01\x00" + b"\x06\x00hello",
        SIGNATURE + b"\x00\x05" + b"\x00\x00" + b"\x01\x00" + b"\x00\x03abc",
        SIGNATURE + b"\x01\x05" + b"\x00\x00" + b"\x01\x00" + b"\x00\x03abc",
    ):
        with connected(tracker) as stranger:
            stranger.sendall(opening)
            assert is_cut(stranger)


def test_cuts_connections_that_send_too_long_a_frame(tracker: RunningTracker) -> None:
    for size in (messages.MAX_REQUEST_BYTES + 1, 2**33, 2**62, 2**63, 2**64 - 1):
        with shaken_hands(tracker) as stranger:
            stranger.sendall(b"\x02" + struct.pack(">Q", size) + bytes(1000))
            assert is_cut(stranger)


@pytest.mark.parametrize("socket_type", [b"DEALER", b"REQ", b"ROUTER"])  # All others are cut.
def test_serves_a_hand_made_handshake(tracker: RunningTracker, socket_type: bytes) -> None:
    with shaken_hands(tracker, socket_type) as stranger:
        stranger.sendall(b"\x01\x00" + bytes([0, len(QUERY)]) + QUERY)
        assert received(stranger, 2) == b"\x01\x00"


@pytest.mark.parametrize(
    "frames",
    [[QUERY], [b"tag", QUERY], [b"x"] * 5 + [b"", QUERY]],
    ids=["body only", "no delimiter", "5 tags"],
)
def test_passes_over_what_has_no_delimiter_in_its_place(
    tracker: RunningTracker, client: Client, frames: list[bytes]
) -> None:
    client.socket.send_multipart(frames)
    assert_serves(client)
    assert tracker.counters()["without_delimiter"] == 1


@pytest.mark.parametrize(
    "frames",
    [[b""], [b"", QUERY, QUERY], [b"", b"", QUERY]],
    ids=["delimiter only", "two bodies", "two delimiters"],
)
def test_asks_for_one_body(client: Client, frames: list[bytes]) -> None:
    reply = client.ask_frames(b"tag", *frames)
    assert reply.code == WireCode.MALFORMED
    assert "1 is expected" in reply.message


def test_cuts_off_who_sends_messages_of_many_frames(tracker: RunningTracker) -> None:
    for message in (b"\1\1x" * 1000 + b"\0\1x", b"\1\0" + b"\1\1x" * 1000 + b"\0\1x"):
        with shaken_hands(tracker) as stranger:
            stranger.sendall(message)
            assert is_cut(stranger)


def test_cuts_off_who_goes_on_without_delimiters(tracker: RunningTracker) -> None:
    with shaken_hands(tracker) as stranger:
        stranger.sendall(b"\0\1x" * 200)
        assert is_cut(stranger)
    assert tracker.counters()["without_delimiter"] > 1


def packed(**keys: Any) -> bytes:
    data = msgpack.packb({"v": 2, "type": "query", "what": "net.txt", **keys})
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        QUERY[:-1],
        QUERY + b"\0",
        b"\xa2\xff\xfe",
        b"\x91" * 5000,
        b"\xdd\xff\xff\xff\xff" * 800,
        b"\x80" * (256 << 10),
        b"\x82\xa1v\x01\xa1v\x01",
        msgpack.packb(msgpack.Timestamp(1)),
        msgpack.packb([1, 2, 3]),
        msgpack.packb({"type": "query"}),
        msgpack.packb({"v": True, "type": "query"}),
        packed(what=7),
        packed(what=""),
        packed(what="../etc/passwd"),
        packed(what="x" * 5000),
        packed(what="a\0b"),
        packed(node="not a name"),
        packed(partial=1),
        packed(type="renew", node="n1", epoch=-1, holdings=0),
        packed(type="renew", node="n1", epoch=2**64 - 1, holdings=0),
        packed(type="renew", node="n1", epoch=float("nan"), holdings=0),
        packed(type="renew", node="n1", epoch=True, holdings=0),
        packed(type="update", node="n1", address="tcp://nowhere", epoch=1, sequence=1),
    ],
)
def test_rejects_malformed_messages(client: Client, body: bytes) -> None:
    assert client.ask_frames(b"tag", b"", body).code == WireCode.MALFORMED


def test_reports_unknown_types_and_versions(client: Client) -> None:
    for keys in ({"type": "sing"}, {"v": 3}):
        assert client.ask_frames(b"", packed(**keys)).code == WireCode.UNSUPPORTED
    assert holder_names(client.ask_frames(b"", packed(unheard_of=1))) == ["n1", "n2"]


class Faulty:
    """A tracker with a bug in its listing."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    @property
    def deadline(self) -> float | None:
        return self._tracker.deadline

    def news_for(self, node: str) -> News:
        return self._tracker.news_for(node)

    def handle(self, request: TrackerRequest, now: float, asker: Asker) -> Outcome:
        if isinstance(request, List):
            raise KeyError("a bug\nof two lines")
        return self._tracker.handle(request, now, asker)

    def expire(self, now: float) -> Expiry:
        return self._tracker.expire(now)


def test_a_bug_costs_one_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RunningTracker(tmp_path, wrap=Faulty) as tracker, tracker.client() as client:
        assert client.ask(List()).code == WireCode.INTERNAL
        assert_serves(client)
        assert tracker.counters()["bugs"] == 1
    (told,) = (line for line in caplog.messages if "bug" in line)
    assert told.startswith("a bug in answering a list, at test_tracker_faults.py:")
    assert told.endswith(r"KeyError('a bug\nof two lines')")


def test_a_client_gone_before_its_reply_does_no_harm(
    tracker: RunningTracker,
) -> None:
    for _ in range(20):
        leaver = tracker.socket(zmq.DEALER)
        for _ in range(100):
            leaver.send_multipart([b"", QUERY])
        leaver.close(linger=200)
    wait_until(lambda: tracker.counters()["connections"] <= 2)


class SlowStore:
    """A store on a disk that takes its time."""

    is_shared = False

    def __init__(self, store: SqliteStore) -> None:
        self._exchange = store.exchange
        self.load, self.trouble, self.close = store.load, store.trouble, store.close

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        time.sleep(0.2)
        return self._exchange(changes, renewed)


def test_an_update_is_saved_before_it_is_acknowledged(tmp_path: Path) -> None:
    with RunningTracker(tmp_path, wrap_store=SlowStore) as tracker, tracker.client() as client:
        assert_serves(client)
        began = time.monotonic()
        client.ask(update("n1", "new.txt"))
        assert time.monotonic() - began >= 0.2


def test_serves_on_when_the_disk_is_full(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = ServerSettings(retry_save_s=0.05, poll_s=0.05)
    with RunningTracker(tmp_path, server_settings=settings) as tracker:
        connection = tracker.store._connection
        assert connection is not None
        connection.execute("PRAGMA max_page_count = 8")
        names = [f"{'x' * 250}/{index}" for index in range(100)]
        assert tracker.ask(update("n1", *names)).holdings == 100
        assert holder_names(tracker.ask(Query(names[7]))) == ["n1"]
        assert tracker.counters()["failed_saves"] >= 1
        assert "cannot save the tracker's state (database or disk is full)" in caplog.text
        connection.execute("PRAGMA max_page_count = 1000000")
        wait_until(lambda: "the tracker's state is being saved again" in caplog.text)
    with RunningTracker(tmp_path) as tracker:
        assert holder_names(tracker.ask(Query(names[7]))) == ["n1"]


CRAMPED = """
import resource, sys, threading
from pathlib import Path
from tests.integration.running_tracker import RunningTracker

resource.setrlimit(resource.RLIMIT_NOFILE, (120, 120))
with RunningTracker(Path(sys.argv[1])) as tracker:
    print(tracker.address, flush=True)
    sys.stdin.read()
"""


def test_without_descriptors_it_serves_its_connections_and_recovers(tmp_path: Path) -> None:
    """Without the limit on connections, libzmq would spin."""
    with subprocess.Popen(
        [sys.executable, "-c", CRAMPED, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with zmq.Context() as context:
            honest = Client(context, address)
            assert_serves(honest)
            place = addresses.split(address)
            crowd = [socket.create_connection(place, timeout=8) for _ in range(150)]
            wait_until(lambda: counters(honest)["refused_connections"] >= 91)
            wait_until(lambda: counters(honest)["connections"] <= 60)
            assert sum(is_cut(each) for each in crowd[:50]) == 50
            assert_serves(honest)
            for each in crowd:
                each.close()
            wait_until(lambda: counters(honest)["connections"] == 1)
            newcomer = Client(context, address)
            assert_serves(newcomer)
            newcomer.close()
            honest.close()
        _, talk = process.communicate()
    assert "60 connections are open; each new one ends one that is silent. Raise" in talk


def counters(client: Client) -> dict[str, int]:
    reply = client.ask(messages.Status())
    assert isinstance(reply, messages.TrackerStatus)
    return reply.counters

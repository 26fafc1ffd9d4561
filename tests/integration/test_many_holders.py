"""One fetch where far more have a part than a process may have connections. Real sockets."""

import resource
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from shoal.protocol import manifest, messages
from shoal.protocol.messages import (
    ChunkRequest,
    Holding,
    ManifestReply,
    ManifestRequest,
    NodeRequest,
    Nothing,
    Update,
)

from tests.integration.cluster import Cluster, frozen, noise

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit")

NAME = "big.bin"
DATA = noise(4 << 20)
CROWD = 150
MOST_DESCRIPTORS = 300  # Three for each of them would be 450.
POLL_MS = 50
ASKED = 20


class Crowd:
    """Holders of a part that have none of it yet, but for the manifest; all in one thread."""

    def __init__(self, cluster: Cluster, content_id: str, data: bytes) -> None:
        self.asked: set[int] = set()
        self._data = data
        self._content_id = content_id
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets = [self._context.socket(zmq.REP) for _ in range(CROWD)]
        self._is_over = threading.Event()
        self._announce(cluster.tracker_address)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _announce(self, tracker_address: str) -> None:
        tracker = self._context.socket(zmq.DEALER)
        tracker.connect(tracker_address)
        holding = Holding(NAME, self._content_id, len(DATA), complete=False)
        for number, sock in enumerate(self._sockets):
            port = sock.bind_to_random_port("tcp://127.0.0.1")
            update = Update(f"p{number}", f"tcp://127.0.0.1:{port}", 1, 1, (holding,))
            tracker.send_multipart([number.to_bytes(8), b"", messages.encode(update)])
            tracker.recv_multipart()
        tracker.close(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        for sock in self._sockets:
            poller.register(sock, zmq.POLLIN)
        while not self._is_over.is_set():
            for sock, _ in poller.poll(POLL_MS):
                self.asked.add(self._sockets.index(sock))
                request: Any = messages.decode(sock.recv(), NodeRequest)
                sock.send_multipart(self._answer(request))

    def _answer(self, request: ManifestRequest | ChunkRequest) -> list[bytes]:
        match request:
            case ManifestRequest():
                return [messages.encode(ManifestReply(self._content_id, NAME)), self._data]
            case ChunkRequest():
                return [messages.encode(Nothing(b"\0"))]

    def close(self) -> None:
        self._is_over.set()
        self._thread.join()
        self._context.destroy(linger=0)


def manifest_of(cluster: Cluster, address: str) -> tuple[str, bytes]:
    """Return the id of the thing, and its manifest's bytes, as its holder sends them."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with context.socket(zmq.DEALER) as sock:
        sock.connect(address)
        sock.send_multipart([bytes(8), b"", messages.encode(ManifestRequest(NAME))])
        *_, data = sock.recv_multipart()
    context.term()
    return manifest.id_of(data), data


@pytest.fixture
def crowd(cluster: Cluster) -> Iterator[Crowd]:
    cluster.put(NAME, DATA, "n2")
    cluster.start("n2")
    cluster.wait(lambda: NAME in cluster.announced("n2"), "n2 has it")
    crowd = Crowd(cluster, *manifest_of(cluster, cluster.addresses["n2"]))
    try:
        yield crowd
    finally:
        crowd.close()


def test_a_fetch_asks_only_some_of_a_crowd_at_a_time(cluster: Cluster, crowd: Crowd) -> None:
    with frozen(cluster.process("node", "n2")):
        fetch = cluster.launch_fetch(NAME, "n1")
        resource.prlimit(fetch.pid, resource.RLIMIT_NOFILE, (MOST_DESCRIPTORS, MOST_DESCRIPTORS))
        cluster.wait(lambda: len(crowd.asked) > ASKED or fetch.exit_code is not None, "it asks")
    told = cluster.finish(fetch).json
    assert told["holders"] == {"n2": len(DATA)}
    assert len(crowd.asked) < CROWD

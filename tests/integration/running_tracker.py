"""A tracker on a real socket with a real file, and clients that talk to it as plainly as can be."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq
from shoal.broker.server import Machine, Server
from shoal.broker.settings import ServerSettings
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import Store
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol import messages
from shoal.protocol.message import Message
from shoal.protocol.messages import Holding, TrackerReply, Update
from shoal.wire.wake import Wake

from tests.integration.cluster import free_address

PATIENCE_MS = 5000
NODES = {node: InitialNode(f"tcp://127.0.0.1:1100{node[1]}") for node in ("n1", "n2", "n3")}
EXAMPLE = {"net.txt": ("n1", "n2"), "network.txt": ("n1", "n3"), "seeds.txt": ("n2", "n3")}

Context = zmq.Context[zmq.Socket[bytes]]


def content_id(number: int) -> str:
    return f"b3:{number:064x}"


def update(node: str, *names: str, sequence: int = 1, version: int = 1) -> Update:
    """Return the message that `node` holds files of these names."""
    holdings = tuple(Holding(name, content_id(version), 10) for name in names)
    return Update(node, NODES[node].address, 1, sequence, holdings)


class Client:
    """Asks one thing after another, through a DEALER as our nodes do."""

    def __init__(self, context: Context, address: str) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.connect(address)

    def ask(self, message: Message) -> Any:
        return self.ask_frames(b"tag", b"", messages.encode(message))

    def ask_frames(self, *frames: bytes) -> Any:
        self.socket.send_multipart(frames)
        return self.reply(frames[: frames.index(b"") + 1])

    def reply(self, envelope: tuple[bytes, ...] = (b"tag", b"")) -> Any:
        assert self.socket.poll(PATIENCE_MS), "no reply"
        *before, body = self.socket.recv_multipart()
        assert tuple(before) == envelope
        return messages.decode(body, TrackerReply)

    def close(self) -> None:
        self.socket.close()


class RunningTracker:
    """A tracker in a thread of this process. Its folder outlives it."""

    def __init__(
        self,
        folder: Path,
        tracker_settings: TrackerSettings | None = None,
        server_settings: ServerSettings | None = None,
        wrap: Callable[[Tracker], Machine] = lambda tracker: tracker,
        wrap_store: Callable[[SqliteStore], Store] = lambda store: store,
        *,
        has_nodes: bool = True,
    ) -> None:
        """`has_nodes` says whether its cluster file names NODES, at their addresses."""
        self.address = free_address()
        self.store = SqliteStore(folder / "tracker.db")
        self._tracker_settings = tracker_settings
        self._server_settings = server_settings
        self._wrap = wrap
        self._wrap_store = wrap_store
        self._listed = (NODES, EXAMPLE) if has_nodes else ({}, {})
        self._context = zmq.Context()
        self._stop = Wake()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        initial = Initial(self.address, *self._listed)
        remembered = self.store.load()
        tracker = Tracker(
            initial, random.Random(7), time.monotonic(), remembered, self._tracker_settings
        )
        self._server = Server(
            self._wrap(tracker),
            self._wrap_store(self.store),
            time.monotonic,
            self._server_settings,
        )
        self._server.bind(self._context, self.address)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._context.destroy(linger=0)

    def stop(self) -> None:
        """Stop serving; returns when all is closed."""
        self._stop.set()
        self._thread.join()
        self._server.close()
        self.store.close()
        self._stop.close()

    @property
    def router(self) -> zmq.Socket[bytes]:
        assert self._server._listener is not None
        return self._server._listener.router

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self._context, self.address)
        try:
            yield client
        finally:
            client.close()

    def ask(self, message: Message) -> Any:
        """Ask through a connection of its own."""
        with self.client() as client:
            return client.ask(message)

    def socket(self, kind: int) -> zmq.Socket[bytes]:
        """Return a socket that is connected to the tracker."""
        connected = self._context.socket(kind)
        connected.setsockopt(zmq.LINGER, 0)
        connected.connect(self.address)
        return connected

    def counters(self) -> dict[str, int]:
        reply = self.ask(messages.Status())
        assert isinstance(reply, messages.TrackerStatus)
        return reply.counters

    def _serve(self) -> None:
        self._server.serve(self._stop)


def holder_names(reply: Any) -> list[str]:
    assert isinstance(reply, messages.Holders), reply
    return sorted(holder.node for holder in reply.holders)


def wait_until(is_so: Callable[[], bool], limit_s: float = 5.0) -> None:
    """Wait for a condition, and fail when it does not come true."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)

"""A limit as the kernel is told of it: what is set on the sockets that a node accepted."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from shoal.node.folder.inventory import Inventory
from shoal.node.network.chunk_server import ChunkServer
from shoal.node.network.rates import RateLimits, Rates
from shoal.node.serving.settings import NodeSettings
from shoal.node.serving.shares import HEADROOM
from shoal.protocol import messages
from shoal.protocol.messages import ChunkRequest, State
from shoal.protocol.rates import Timetable
from shoal.wire import sockets

from tests.unit.node.network.test_chunk_server import Context
from tests.unit.node.things import whole
from tests.unit.wire.places import LIMIT_S, eventually, free_address, port_of

SIZE_BYTES = 2 << 20
RATE = 4_000_000
WHOLE, HALF, ANY = int(HEADROOM * RATE), int(HEADROOM * RATE / 2), 2**64 - 1


def paces(port: int) -> list[int]:
    """Return the paces of all connections that this process has accepted at a port."""
    found = []
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        opened = sockets.connection(number)
        if opened is None:
            continue
        with opened, contextlib.suppress(OSError):  # It may be listening.
            if opened.getpeername() and opened.getsockname()[1] == port:
                option = sockets.SO_MAX_PACING_RATE
                found.append(opened.getsockopt(socket.SOL_SOCKET, option, 8))
    return sorted(struct.unpack("=Q", each)[0] for each in found)


class Scene:
    """A server of one file of several chunks, under a limit that may change."""

    def __init__(self, context: Context, folder: Path) -> None:
        path = folder / "a.bin"
        path.write_bytes(os.urandom(SIZE_BYTES))
        inventory = Inventory(lambda _: None)
        self.file = whole(path, "a.bin")
        inventory.put(self.file)
        self.rates = Rates()
        self.limit(RATE)
        self.server = ChunkServer(
            inventory,
            lambda _: None,
            lambda *_: None,
            lambda *_: State("none"),
            NodeSettings(),
            self.rates,
        )
        self.address = free_address()
        self.server.start(self.address)
        self.clients = [self._dawdling(context) for _ in range(2)]

    def limit(self, rate: int | None) -> None:
        self.rates.set(RateLimits(up=Timetable(rate)))

    def _dawdling(self, context: Context) -> "zmq.Socket[bytes]":
        """Return one who takes in no more than it reads: what it asked for is on its way."""
        client = context.socket(zmq.DEALER)
        client.setsockopt(zmq.RCVHWM, 1)
        client.setsockopt(zmq.RCVBUF, 64 << 10)
        client.setsockopt(zmq.LINGER, 0)
        client.connect(self.address)
        return client

    def ask(self, client: int, count: int = 1) -> None:
        for index in range(count):
            request = messages.encode(ChunkRequest(self.file.id, index, f"n{client}"))
            self.clients[client].send_multipart([b"tag", b"", request])

    def heard(self, client: int) -> int:
        """Wait for a reply; return how long it is."""
        assert self.clients[client].poll(int(1000 * LIMIT_S))
        return len(self.clients[client].recv_multipart()[-1])

    @property
    def paces(self) -> list[int]:
        return paces(port_of(self.address))

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.stop()


@pytest.fixture
def scene(context: Context, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(context, tmp_path)
    yield scene
    scene.close()


def test_the_kernel_paces_each_connection_at_its_share(scene: Scene) -> None:
    count = scene.file.manifest.chunk_count
    scene.ask(0, count)
    eventually(lambda: WHOLE in scene.paces)
    scene.ask(1, count)
    eventually(lambda: scene.paces == [HALF, HALF])
    assert sum(scene.heard(client) for _ in range(count) for client in (0, 1)) == 2 * SIZE_BYTES


def test_a_limit_that_ends_is_taken_off_all_sockets(scene: Scene) -> None:
    scene.ask(0)
    scene.heard(0)
    assert WHOLE in scene.paces
    scene.limit(None)
    eventually(lambda: set(scene.paces) == {ANY})
    scene.limit(RATE // 2)

    def is_paced() -> bool:
        scene.ask(0)
        scene.heard(0)
        return int(HEADROOM * (RATE // 2)) in scene.paces

    eventually(is_paced)


def test_in_the_background_the_connections_are_looked_at(scene: Scene) -> None:
    scene.rates.set(RateLimits(background=True))
    count = scene.file.manifest.chunk_count
    scene.ask(0, count)
    eventually(lambda: scene.paces not in ([], [ANY, ANY]))
    received = sum(scene.heard(0) for _ in range(count))
    assert received == SIZE_BYTES

    def is_known() -> bool:
        scene.ask(0)
        scene.heard(0)
        return "127.0.0.1" in scene.rates.to_hosts()

    eventually(is_known)


def test_what_has_another_connection_s_number_by_now_is_left_alone(scene: Scene) -> None:
    """A monitor tells of an end later than the kernel gives the number away again."""
    scene.ask(0)
    scene.heard(0)
    front = scene.server._front
    assert front is not None
    connections = front._listener.connections
    (connection,) = front._askers.values()
    before = connection.number
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = socket.create_connection(server.getsockname())
        connection.number = other.fileno()
        connections.pace(connection, 1_000_000)
        option = sockets.SO_MAX_PACING_RATE
        assert other.getsockopt(socket.SOL_SOCKET, option, 8) == struct.pack("=Q", ANY)
        other.close()
        connections.pace(connection, 1_000_000)  # A number that nothing has.
    connection.number = before
    assert connection.pace == WHOLE

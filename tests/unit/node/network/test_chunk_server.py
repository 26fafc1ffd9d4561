"""The REP: exactly one reply to each request, whatever comes, and it goes on."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
import zmq
from blake3 import blake3
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.whole import Whole
from shoal.node.network.chunk_server import ChunkServer
from shoal.node.network.rates import Rates
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import manifest, messages
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    ManifestReply,
    ManifestRequest,
    Noted,
    State,
    StateRequest,
    WrongChunk,
)
from shoal.wire import listener, sockets

from tests.unit.node.things import whole
from tests.unit.wire.places import LIMIT_S, eventually, free_address, port_of

Context: TypeAlias = "zmq.Context[zmq.Socket[bytes]]"
Frames = list[bytes]
LIMIT_MS = int(1000 * LIMIT_S)
DATA = os.urandom(9000)
NOWHERE = f"b3:{0:064x}"


def _state_of(name: str, content_id: str | None) -> State:
    return State("part", len(name), len(content_id or ""))


class Scene:
    """A server that serves `a.bin`, and one who asks it."""

    def __init__(self, context: Context, folder: Path) -> None:
        self.context = context
        self.path = folder / "a.bin"
        self.path.write_bytes(DATA)
        self.inventory = Inventory(lambda _: None)
        self.file = whole(self.path, "a.bin")
        self.thing = self.file.manifest
        self.inventory.put(self.file)
        self.gone: list[str] = []
        self.wrong: list[tuple[str, int]] = []
        told = self.gone.append, lambda *complaint: self.wrong.append(complaint)
        self.server = ChunkServer(self.inventory, *told, _state_of, NodeSettings(), Rates())
        self.address = free_address()
        self.server.start(self.address)
        self.client = sockets.dealer(context, self.address)

    def close(self) -> None:
        self.client.close()
        self.server.stop()

    def send(self, *body: bytes) -> None:
        self.client.send_multipart([b"tag", b"", *body])

    def reply(self) -> Frames:
        assert self.client.poll(LIMIT_MS)
        tag, empty, *frames = self.client.recv_multipart()
        assert (tag, empty) == (b"tag", b"")
        return frames

    def ask(self, message: Message) -> tuple[Message, bytes]:
        self.send(messages.encode(message))
        body, *payload = self.reply()
        return messages.decode(body, messages.NodeReply), b"".join(payload)

    def chunk(self, index: int) -> tuple[Message, bytes]:
        return self.ask(ChunkRequest(self.file.id, index, "n2"))

    def still_serves(self) -> bool:
        reply, data = self.chunk(1)
        return reply == ChunkReply(1, b"", 1) and blake3(data).digest() == self.thing.digest(1)


@pytest.fixture
def scene(context: Context, tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(context, tmp_path)
    yield scene
    scene.close()


def test_says_how_much_is_here(scene: Scene) -> None:
    assert scene.ask(StateRequest("a.bin", NOWHERE)) == (State("part", 5, len(NOWHERE)), b"")
    assert scene.still_serves()


def test_sends_manifest_and_chunks(scene: Scene) -> None:
    reply, data = scene.ask(ManifestRequest("a.bin"))
    assert reply == ManifestReply(scene.file.id, "a.bin")
    assert data == manifest.encode(scene.thing)
    chunks = [scene.chunk(index)[1] for index in range(scene.thing.chunk_count)]
    assert b"".join(chunks) == DATA


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([b""], "MALFORMED"),
        ([b"\xc1"], "MALFORMED"),
        ([b"\x91" * 5000], "MALFORMED"),
        ([b"\xdd\x7f\xff\xff\xff" * 100], "MALFORMED"),
        ([b"\x80" * 60_000], "MALFORMED"),
        ([messages.encode(ManifestRequest("a")) + b"\0"], "MALFORMED"),
        ([b"x", b"y"], "MALFORMED"),
        ([b"x"] * 9, "MALFORMED"),
        ([messages.encode(messages.List())], "UNSUPPORTED"),
        ([messages.encode(ManifestRequest("nowhere"))], "NOT_FOUND"),
        ([messages.encode(ChunkRequest(NOWHERE, 0, "n2"))], "NOT_FOUND"),
        ([messages.encode(ManifestRequest(("x" * 250 + "/") * 16 + "x"))], "NOT_FOUND"),
    ],
)
def test_each_request_has_one_reply(scene: Scene, body: Frames, code: str) -> None:
    scene.send(*body)
    (reply,) = scene.reply()
    error = messages.decode(reply, messages.NodeReply)
    assert isinstance(error, Error)
    assert error.code.name == code
    assert scene.still_serves()
    assert not scene.client.poll(20)


def test_an_envelope_comes_back_as_it_is(scene: Scene) -> None:
    envelope = [b"%d" % number for number in range(listener.MOST_TAGS)]
    scene.client.send_multipart([*envelope, b"", b"?"])
    assert scene.client.poll(LIMIT_MS)
    assert scene.client.recv_multipart()[:-1] == [*envelope, b""]
    assert scene.still_serves()


@pytest.mark.parametrize("frames", [[b"x"], [b"x", b"y"], [b""]])
def test_what_is_no_request_is_passed_over(scene: Scene, frames: Frames) -> None:
    for _ in range(20):
        scene.client.send_multipart(frames)
    scene.send(messages.encode(ManifestRequest("a.bin")))
    until_then: list[Frames] = []
    while not until_then or until_then[-1][0] != b"tag":
        assert scene.client.poll(LIMIT_MS)
        until_then.append(scene.client.recv_multipart())
    assert scene.still_serves()


def test_a_file_that_changed_is_gone(scene: Scene) -> None:
    scene.path.write_bytes(b"another")
    reply, data = scene.chunk(0)
    assert isinstance(reply, Error)
    assert (reply.code, data) == (WireCode.GONE, b"")
    assert scene.gone == ["a.bin"]


def test_goes_on_after_a_mistake_of_its_own(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Whole):
        def read(self, index: int) -> bytes:
            raise ZeroDivisionError(index)

    broken = Broken("a.bin", scene.file.data, scene.file.source)
    scene.inventory.put(broken)
    reply, _ = scene.chunk(0)
    assert isinstance(reply, Error)
    assert reply.code is WireCode.INTERNAL
    assert "ZeroDivisionError" in caplog.text
    scene.inventory.put(scene.file)
    assert scene.still_serves()


def test_a_mistake_of_others_costs_one_answer(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> State:
        raise ZeroDivisionError

    monkeypatch.setattr(scene.server, "_state_of", fail)
    monkeypatch.setattr(scene.server, "_on_wrong", fail)
    for request in (StateRequest("a.bin"), WrongChunk(scene.file.id, 2, "n2")):
        reply, _ = scene.ask(request)
        assert isinstance(reply, Error)
        assert reply.code is WireCode.INTERNAL
    assert len([one for one in caplog.records if one.exc_info]) == 2
    assert scene.still_serves()


def test_a_disk_that_hangs_holds_up_only_what_is_on_it(scene: Scene, tmp_path: Path) -> None:
    class Hanging(Whole):
        def read(self, index: int) -> bytes:
            assert is_over.wait(LIMIT_S)
            return super().read(index)

    is_over = threading.Event()
    (tmp_path / "far.bin").write_bytes(os.urandom(5000))
    far = whole(tmp_path / "far.bin", "far.bin")
    scene.inventory.put(Hanging("far.bin", far.data, far.source))
    other = sockets.dealer(scene.context, scene.address)
    other.send_multipart([b"", messages.encode(ChunkRequest(far.id, 0, "n3"))])
    eventually(lambda: scene.server._server._chosen)
    for _ in range(10):
        assert scene.still_serves()
    assert not other.poll(0)
    is_over.set()
    assert other.poll(LIMIT_MS)
    assert blake3(other.recv_multipart()[-1]).digest() == far.manifest.digest(0)
    other.close()


def test_askers_that_vanish_are_nothing_to_it(scene: Scene) -> None:
    request = messages.encode(ChunkRequest(scene.file.id, 0, "n2"))
    for _ in range(20):
        asker = sockets.dealer(scene.context, scene.address)
        for _ in range(50):
            asker.send_multipart([b"tag", b"", request])
        asker.close(linger=50)
    assert scene.still_serves()
    eventually(lambda: not scene.server._server._pacing.unsent)


def test_long_replies_count_until_they_have_left_or_their_asker_has(
    scene: Scene, tmp_path: Path
) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(os.urandom(1 << 20))
    long = whole(path, "long.bin")
    scene.inventory.put(long)
    asker = scene.context.socket(zmq.DEALER)
    asker.setsockopt(zmq.RCVHWM, 1)
    asker.setsockopt(zmq.RCVBUF, 16 << 10)
    asker.connect(scene.address)
    for _ in range(60):  # It never reads: 7.5 MB.
        asker.send_multipart([b"", messages.encode(ChunkRequest(long.id, 0, "n2"))])
    eventually(lambda: len(scene.server._server._pacing.unsent) > 1)
    assert scene.still_serves()
    asker.close(linger=0)
    eventually(lambda: not scene.server._server._pacing.unsent)
    assert scene.still_serves()


def test_noise_at_the_port_harms_nobody(scene: Scene) -> None:
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n", os.urandom(500), b"\xff" * 64):
        with socket.create_connection(("127.0.0.1", port_of(scene.address))) as stranger:
            stranger.sendall(noise)
            assert scene.still_serves()


def test_several_askers_are_served_at_once(scene: Scene) -> None:
    def ask(right: list[bool]) -> None:
        client = sockets.dealer(scene.context, scene.address)
        for index in list(range(scene.thing.chunk_count)) * 5:
            request = ChunkRequest(scene.file.id, index, "n2")
            client.send_multipart([b"", messages.encode(request)])
            assert client.poll(LIMIT_MS)
            data = client.recv_multipart()[-1]
            right.append(blake3(data).digest() == scene.thing.digest(index))
        client.close()

    right: list[bool] = []
    threads = [threading.Thread(target=ask, args=(right,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(right) == 20 * scene.thing.chunk_count
    assert all(right)


def test_says_what_it_uploads_but_not_every_time(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "shoal.node")
    for _ in range(30):
        scene.chunk(0)
    lines = [line for line in caplog.messages if line.startswith("Uploading")]
    assert lines[0] == f"Uploading a.bin (1/{scene.thing.chunk_count}) to n2"
    assert 8 <= len(lines) <= 12


def test_says_little_to_a_crowd(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "shoal.node")
    for turn in range(3):
        for number in range(40):
            scene.ask(ChunkRequest(scene.file.id, turn, f"n{number}"))
    lines = [line for line in caplog.messages if line.startswith("Uploading")]
    first = f"Uploading a.bin (1/{scene.thing.chunk_count})"
    assert lines[:16] == [f"{first} to n{number}" for number in range(16)]
    assert 24 <= len(lines) <= 24 + 2 * 16


def test_a_complaint_is_noted_and_passed_on(scene: Scene) -> None:
    assert scene.ask(WrongChunk(scene.file.id, 2, "n2")) == (Noted(), b"")
    assert scene.wrong == [(scene.file.id, 2)]
    assert scene.still_serves()

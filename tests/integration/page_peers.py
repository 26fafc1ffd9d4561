"""A client, a node and a tracker that were written from docs/protocol.md alone.

They use nothing of our code, not even its names: whoever implements the page has no more either.
"""

import contextlib
import itertools
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, Self

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import zmq
from blake3 import blake3

Context = zmq.Context[zmq.Socket[bytes]]
Map = dict[str, Any]

PATIENCE_MS = 1000
TRIES = 30  # On a busy machine, a process takes seconds to start.


# The page: things.


def chunk_size_for(size_bytes: int) -> int:
    if size_bytes <= 1 << 20:
        return max(1, min(max(-(-size_bytes // 8), 256), -(-size_bytes // 2)))
    chunk_size = 128 << 10
    usual = 1024 if size_bytes <= 1 << 30 else 512
    while usual * chunk_size < size_bytes and chunk_size < 4 << 20:
        chunk_size *= 2
    while 32768 * chunk_size < size_bytes:
        chunk_size *= 2
    return chunk_size


def chunks_of(data: bytes) -> list[bytes]:
    size = chunk_size_for(len(data))
    return [data[offset : offset + size] for offset in range(0, len(data), size)]


def manifest_of(data: bytes) -> bytes:
    chunks = chunks_of(data)
    sizes = struct.pack(f">{len(chunks)}I", *map(len, chunks))
    digests = b"".join(blake3(chunk).digest() for chunk in chunks)
    manifest: bytes = msgpack.packb(["shoal/2 blake3", 33188, 0, len(data), sizes, digests])
    return manifest


def id_of(manifest: bytes) -> str:
    return "b3:" + blake3(manifest).hexdigest()


def chunks_in(manifest: bytes) -> list[tuple[int, bytes]]:
    """Return the size and digest of each chunk."""
    form, mode, listing_bytes, size_bytes, packed_sizes, digests = msgpack.unpackb(manifest)
    assert (form, mode, listing_bytes) == ("shoal/2 blake3", 33188, 0)
    sizes = [size for (size,) in struct.iter_unpack(">I", packed_sizes)]
    assert sum(sizes) == size_bytes
    return [(size, digests[32 * at : 32 * at + 32]) for at, size in enumerate(sizes)]


def bitmap_of(indices: set[int], count: int) -> bytes:
    data = bytearray((count + 7) // 8)
    for index in indices:
        data[index // 8] |= 1 << index % 8
    return bytes(data)


def packed(kind: str, **fields: Any) -> bytes:
    data: bytes = msgpack.packb({"v": 1, "type": kind, **fields})
    return data


# The page: a client.


class Connection:
    """A DEALER to the tracker or to one holder."""

    def __init__(self, context: Context, address: str) -> None:
        self._ids = itertools.count(1)
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, (64 << 20) + (64 << 10))
        self._socket.connect(address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, kind: str, **fields: Any) -> tuple[Map, bytes]:
        """Return the reply's map and the bytes that follow it; asks again if there is none."""
        return self.ask_raw(packed(kind, **fields))

    def ask_raw(self, body: bytes) -> tuple[Map, bytes]:
        for _ in range(TRIES):
            request_id = struct.pack(">Q", next(self._ids))
            self._socket.send_multipart([request_id, b"", body])
            while self._socket.poll(PATIENCE_MS):
                got_id, empty, reply, *rest = self._socket.recv_multipart()
                assert empty == b""
                if got_id == request_id:
                    plain = msgpack.unpackb(reply)
                    assert plain["v"] == 1
                    return plain, rest[0] if rest else b""
        raise AssertionError("no reply")


def fetched(context: Context, found: Map, asker: str) -> bytes:
    """Fetch what the tracker said of, from all holders in turn, and check everything."""
    with contextlib.ExitStack() as stack:
        holders = [
            stack.enter_context(Connection(context, holder["address"]))
            for holder in found["holders"]
        ]
        first, manifest = holders[0].ask("manifest", what=found["id"])
        assert first["id"] == found["id"] == id_of(manifest)
        chunks, parts = chunks_in(manifest), dict[int, bytes]()
        for holder in itertools.cycle(holders):
            missing = sorted(set(range(len(chunks))) - parts.keys())
            if not missing:
                return b"".join(parts[index] for index in range(len(chunks)))
            have = bitmap_of(set(parts), len(chunks))
            offered = missing[:4]
            reply, data = holder.ask(
                "chunk", id=found["id"], offered=offered, node=asker, have=have
            )
            assert reply["type"] == "chunk"
            assert reply["index"] in offered
            assert (len(data), blake3(data).digest()) == chunks[reply["index"]]
            parts[reply["index"]] = data
    raise AssertionError("nobody holds it")


# The page: a node and a tracker.


class Server(threading.Thread):
    """A bound socket and a function that answers its requests."""

    def __init__(
        self, context: Context, kind: int, address: str, answer: Callable[[Map], Sequence[bytes]]
    ) -> None:
        super().__init__()
        self._answer = answer
        self._is_stopping = False
        self._socket = context.socket(kind)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 64)
        self._socket.bind(address)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping = True
        self.join()

    def run(self) -> None:
        while not self._is_stopping:
            if self._socket.poll(20):
                *envelope, body = self._socket.recv_multipart()  # A REP keeps the envelope itself.
                self._socket.send_multipart([*envelope, *self._answer(msgpack.unpackb(body))])
        self._socket.close()


def smallest_node(name: str, content: bytes) -> Callable[[Map], Sequence[bytes]]:
    manifest, chunks = manifest_of(content), chunks_of(content)

    def answer(request: Map) -> Sequence[bytes]:
        if request["type"] == "manifest" and request["what"] in {name, id_of(manifest)}:
            return [packed("manifest", id=id_of(manifest), name=name), manifest]
        if request["type"] == "chunk" and request["id"] == id_of(manifest):
            index = request["offered"][-1]  # Any of them will do.
            return [packed("chunk", index=index), chunks[index]]
        return [packed("error", code=404, message="not here")]

    return answer


class SmallestTracker:
    """Who holds what, as the last update said; knows no leases."""

    def __init__(self) -> None:
        self.updates: list[Map] = []
        self._addresses: dict[str, str] = {}
        self._holdings: dict[tuple[str, str], Map] = {}  # by node and name

    def answer(self, request: Map) -> Sequence[bytes]:
        kind, node = request["type"], request.get("node")
        if kind == "query":
            return [self._holders(request["what"], node)]
        if kind == "update":
            return [self._update(request)]
        if kind in {"renew", "leave"} and node in self._addresses:
            return [self._ok(node)]
        known = kind in {"renew", "leave"}
        return [packed("error", code=404 if known else 501, message="unknown")]

    def _update(self, request: Map) -> bytes:
        node = request["node"]
        self.updates.append(request)
        self._addresses[node] = request["address"]
        for key in [key for key in self._holdings if key[0] == node and request.get("replace")]:
            del self._holdings[key]
        for withdrawn in request.get("withdrawn", ()):
            self._holdings.pop((node, withdrawn["name"]), None)
        for holding in request.get("holdings", ()):
            self._holdings[node, holding["name"]] = holding
        return self._ok(node)

    def _ok(self, node: str) -> bytes:
        count = sum(holder == node for holder, _ in self._holdings)
        return packed("ok", lease_ms=30_000, holdings=count)

    def _holders(self, what: str, asker: str | None) -> bytes:
        found = [
            (node, holding)
            for (node, _), holding in self._holdings.items()
            if what in {holding["name"], holding["id"]} and node != asker
        ]
        if not found:
            return packed("error", code=404, message="no such file")
        holders = [
            {
                "node": node,
                "address": self._addresses[node],
                "complete": holding.get("complete", True),
                "alive": True,
            }
            for node, holding in found
        ]
        thing = {key: found[0][1][key] for key in ("name", "id", "size_bytes")}
        return packed("holders", **thing, holders=holders)

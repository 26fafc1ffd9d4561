"""A client, a node and a tracker that were written from docs/build/protocol.md alone.

They use nothing of our code, not even its names: whoever implements the page has no more either.
"""

import contextlib
import io
import itertools
import re
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

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
    if size_bytes <= 32 << 20:
        return 128 << 10
    if size_bytes <= 160 << 20:
        return 160 << 10
    chunk_size = 256 << 10
    usual = 1024 if size_bytes <= 1 << 30 else 512
    while usual * chunk_size < size_bytes and chunk_size < 4 << 20:
        chunk_size *= 2
    while 32768 * chunk_size < size_bytes:
        chunk_size *= 2
    return chunk_size


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[offset : offset + size] for offset in range(0, len(data), size)]


class Thing(NamedTuple):
    manifest: bytes
    chunks: list[bytes]
    size_bytes: int

    @property
    def id(self) -> str:
        return id_of(self.manifest)

    def holding(self, name: str) -> Map:
        return {"name": name, "id": self.id, "size_bytes": self.size_bytes}


def copy_of(found: Map) -> Map:
    """Return the holding of a node that fetched what the tracker found."""
    return {key: found[key] for key in ("name", "id", "size_bytes", "version", "publisher")}


def file_of(content: bytes) -> Thing:
    return thing_of(33188, 0, cut(content, chunk_size_for(len(content))))


def thing_of(mode: int, listing_bytes: int, chunks: list[bytes]) -> Thing:
    size_bytes = sum(map(len, chunks)) - listing_bytes
    sizes = struct.pack(f">{len(chunks)}I", *map(len, chunks))
    digests = b"".join(blake3(chunk).digest() for chunk in chunks)
    fields = ["shoal/2 blake3", mode, listing_bytes, size_bytes, sizes, digests]
    return Thing(msgpack.packb(fields), chunks, size_bytes)


def id_of(manifest: bytes) -> str:
    return "b3:" + blake3(manifest).hexdigest()


def chunks_in(sizes: bytes, digests: bytes) -> list[tuple[int, bytes]]:
    """Return the size and digest of each chunk."""
    counted = enumerate(struct.iter_unpack(">I", sizes))
    return [(size, digests[32 * at : 32 * at + 32]) for at, (size,) in counted]


def bitmap_of(indices: set[int], count: int) -> bytes:
    data = bytearray((count + 7) // 8)
    for index in indices:
        data[index // 8] |= 1 << index % 8
    return bytes(data)


def packed(kind: str, **fields: Any) -> bytes:
    data: bytes = msgpack.packb({"v": 2, "type": kind, **fields})
    return data


# The page: listings.

Tree = dict[str, tuple[str, bytes]]  # By path: the kind, and a file's bytes or a link's target.
FORBIDDEN = re.compile(r"^[A-Za-z]:|[\\\x00-\x1f\x7f-\x9f]")


def order(path: str) -> list[bytes]:
    return path.encode().split(b"/")


def listing_of(tree: Tree) -> bytes:
    paths = sorted(tree, key=order)
    kinds = "".join(tree[path][0] for path in paths)
    sizes = [len(tree[path][1]) for path in paths if tree[path][0] in "fx"]
    targets = [tree[path][1] for path in paths if tree[path][0] == "l"]
    fields = [
        "\0".join(paths).encode(),
        kinds.encode(),
        struct.pack(f">{len(sizes)}Q", *sizes),
        b"\0".join(targets),
    ]
    listing: bytes = msgpack.packb(["shoal/1 tree", *fields])
    return listing


def tree_of(tree: Tree) -> Thing:
    listing = listing_of(tree)
    files = [tree[path][1] for path in sorted(tree, key=order) if tree[path][0] in "fx"]
    size_bytes = sum(map(len, files))
    size = max(chunk_size_for(size_bytes), 256 << 10 if size_bytes > 1 << 20 else 0)
    while True:
        chunks, small, count = cut(listing, 256 << 10), b"", 0
        for content in files:
            if len(content) >= size or count == 256:
                chunks += cut(small, size)
                small, count = b"", 0
            if len(content) >= size:
                chunks += cut(content, size)
            else:
                small += content
                count += content != b""
        chunks += cut(small, size)
        if len(chunks) <= 32768:
            return thing_of(16384, len(listing), chunks)
        size *= 2


def read_listing(listing: bytes, size_bytes: int) -> list[tuple[str, str, int, str]]:
    """Return path, kind, size and target of each entry, all of which are checked."""
    document = msgpack.unpackb(listing)
    assert msgpack.packb(document) == listing
    form, joined_paths, packed_kinds, packed_sizes, joined_targets = document
    assert form == "shoal/1 tree"
    paths, kinds = texts_in(joined_paths), packed_kinds.decode()
    sizes = [size for (size,) in struct.iter_unpack(">Q", packed_sizes)]
    targets = texts_in(joined_targets)
    assert len(paths) == len(kinds)
    assert len(sizes) == sum(kind in "fx" for kind in kinds)
    assert len(targets) == kinds.count("l")
    assert set(kinds) <= set("fxdl")
    assert sum(sizes) == size_bytes
    assert all(map(is_path, paths))
    for path, following in itertools.pairwise(paths):
        assert order(path) < order(following)
        assert not following.startswith(f"{path}/")
    entries = [
        (path, kind, sizes.pop(0) if kind in "fx" else 0, targets.pop(0) if kind == "l" else "")
        for path, kind in zip(paths, kinds, strict=True)
    ]
    assert all(is_inside(path, target) for path, kind, _, target in entries if kind == "l")
    return entries


def texts_in(joined: bytes) -> list[str]:
    return joined.decode().split("\0") if joined else []


def is_path(text: str) -> bool:
    parts = text.split("/")
    fits = len(text.encode()) <= 4096 and all(0 < len(part.encode()) <= 255 for part in parts)
    return fits and not FORBIDDEN.search(text) and not {".", ".."}.intersection(parts)


def is_inside(path: str, target: str) -> bool:
    parts = target.split("/")
    down = list(itertools.dropwhile("..".__eq__, parts))
    goes_up = len(parts) - len(down)
    fits = is_path("/".join(down)) or target == "." if down else goes_up > 0
    return fits and goes_up <= path.count("/") and len(target.encode()) <= 4096


def tree_in(listing: bytes, contents: bytes) -> Tree:
    tree = Tree()
    rest = io.BytesIO(contents)
    for path, kind, size_bytes, target in read_listing(listing, len(contents)):
        tree[path] = kind, rest.read(size_bytes) or target.encode()
    return tree


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
                    assert plain["v"] == 2
                    return plain, rest[0] if rest else b""
        raise AssertionError("no reply")


def fetched(context: Context, found: Map, asker: str) -> tuple[bytes, bytes]:
    """Fetch what the tracker said of, and check everything; return the listing, and the rest."""
    with contextlib.ExitStack() as stack:
        holders = [
            stack.enter_context(Connection(context, holder["address"]))
            for holder in found["holders"]
        ]
        first, manifest = holders[0].ask("manifest", what=found["id"])
        assert first["id"] == found["id"] == id_of(manifest)
        document = msgpack.unpackb(manifest)
        assert msgpack.packb(document) == manifest
        form, mode, listing_bytes, size_bytes, sizes, digests = document
        assert form == "shoal/2 blake3"
        assert mode in {33188, 33261, 16384}
        assert (listing_bytes > 0) == (mode == 16384)
        gathering = Gathering(holders, found["id"], chunks_in(sizes, digests), asker)
        listing = gathering.gather(listing_bytes)
        if listing_bytes:
            read_listing(listing, size_bytes)
        contents = gathering.gather(size_bytes)
        assert not gathering.missing
        return listing, contents


class Gathering:
    """Asks all holders in turn, for one chunk at a time."""

    def __init__(
        self,
        holders: list[Connection],
        content_id: str,
        chunks: list[tuple[int, bytes]],
        asker: str,
    ) -> None:
        self._holders = itertools.cycle(holders)
        self._ask: Map = {"id": content_id, "node": asker}
        self._chunks = chunks
        self._have: set[int] = set()

    @property
    def missing(self) -> list[int]:
        return [index for index in range(len(self._chunks)) if index not in self._have]

    def gather(self, size_bytes: int) -> bytes:
        """Return the next so many bytes, which are whole chunks."""
        ends = list(itertools.accumulate(self._chunks[index][0] for index in self.missing))
        assert size_bytes in {0, *ends}
        wanted = self.missing[: ends.index(size_bytes) + 1 if size_bytes else 0]
        parts: dict[int, bytes] = {}
        while lacking := [index for index in wanted if index not in parts]:
            parts[lacking[0]] = self._chunk(lacking[0])
            self._have.add(lacking[0])
        return b"".join(parts[index] for index in wanted)

    def _chunk(self, index: int) -> bytes:
        have = bitmap_of(self._have, len(self._chunks))
        reply, data = next(self._holders).ask("chunk", **self._ask, index=index, have=have)
        assert reply["type"] == "chunk"
        assert reply["index"] == index
        assert (len(data), blake3(data).digest()) == self._chunks[index]
        return data


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


def smallest_node(name: str, thing: Thing) -> Callable[[Map], Sequence[bytes]]:
    def answer(request: Map) -> Sequence[bytes]:
        if request["type"] == "manifest" and request["what"] in {name, thing.id}:
            return [packed("manifest", id=thing.id, name=name), thing.manifest]
        if request["type"] == "wrong":
            return [packed("noted")]
        if request["type"] == "chunk" and request["id"] == thing.id:
            index = request["index"]
            return [packed("chunk", index=index), thing.chunks[index]]
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
            publisher = node if holding.get("claims") else holding.get("publisher")
            told = {"version": 0, **holding, "publisher": publisher}
            self._holdings[node, holding["name"]] = told
        return self._ok(node)

    def _ok(self, node: str) -> bytes:
        count = sum(holder == node for holder, _ in self._holdings)
        return packed("ok", lease_ms=30_000, holdings=count)

    def _holders(self, what: str, asker: str | None) -> bytes:
        newest_first = sorted(self._holdings.items(), key=lambda one: -one[1]["version"])
        found = [
            (node, holding)
            for (node, _), holding in newest_first
            if what in {holding["name"], holding["id"]} and node != asker
        ]
        found = [one for one in found if one[1]["id"] == found[0][1]["id"]]  # The newest.
        if not found:
            return packed("error", code=404, message="no such file")
        holders = [self._holder(node, holding) for node, holding in found]
        return packed("holders", **copy_of(found[0][1]), holders=holders)

    def _holder(self, node: str, holding: Map) -> Map:
        told = {"node": node, "address": self._addresses[node], "alive": True}
        return {**told, "complete": holding.get("complete", True)}

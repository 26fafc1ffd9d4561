"""Strangers that say they hold something, and how each kind misbehaves when it is asked."""

import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    Holding,
    Leave,
    ManifestReply,
    ManifestRequest,
    NodeReply,
    NodeRequest,
    Noted,
    Nothing,
    Query,
    Renew,
    Update,
)

from tests.simulation.faults.content import Version

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster

Answer = tuple[NodeReply | None, bytes | None] | bytes | None  # Raw bytes; None: silence.
RENEW_S = 8.0
SLOW_S = 6.0
TODAY_MS = 1_800_000_000_000  # An epoch as the nodes have it.


class Stranger:
    """A host with a program of its own, which does one thing for as long as it runs."""

    WORD = "stranger"

    def __init__(self, cluster: "Cluster", number: int, rng: random.Random) -> None:
        self.name = f"{self.WORD}{number}"
        self._cluster = cluster
        self._rng = rng
        self._process = cluster.add_stranger(self.name, number)

    def begin(self) -> None:
        self._process.start(self._do, self.WORD)

    def end(self) -> None:
        self._process.kill()

    def _do(self) -> None:
        raise NotImplementedError


class Liar(Stranger):
    """A holder that cannot be trusted; `kind` says how it lies."""

    WORD = "liar"

    def __init__(self, cluster: "Cluster", number: int, kind: str, rng: random.Random) -> None:
        super().__init__(cluster, number, rng)
        self.kind = kind
        self._address = f"tcp://10.0.0.{number}:5000"
        self._sequence = 0
        self._seen: dict[str, None] = {}
        cluster.liars.append(self.name)

    def begin(self) -> None:
        self._process.start(self._serve, "serve")
        self._process.start(self._announce, "announce")

    # To the tracker.

    def _announce(self) -> None:
        context: Any = zmq.Context()
        sock = context.socket(zmq.DEALER)
        sock.setsockopt(zmq.RECONNECT_IVL, 500)
        self._cluster.keyrings.secure(sock, self.name, "tracker")
        sock.connect(self._cluster.tracker.address)
        said: list[bytes] = []
        while True:
            self._sequence += 1
            held = self._holdings()
            update = Update(self.name, self._address, 1, self._sequence, held, replace=True)
            said.append(messages.encode(update))
            with contextlib.suppress(zmq.Again):  # It is not let in, or the queue is full.
                if self.kind == "replays":  # What it said before, again and out of order.
                    sock.send_multipart([b"again", b"", self._rng.choice(said)])
                sock.send_multipart([b"tag", b"", said[-1]])
                if self.kind == "speaks for others":
                    for word in self._stolen_words():
                        sock.send_multipart([b"other", b"", messages.encode(word)])
            self._cluster.loop.pass_time(RENEW_S * self._rng.random())
            while sock.has_mail():
                sock.recv_multipart()

    def _holdings(self) -> tuple[Holding, ...]:
        """Return what it claims: what others share, and in the end only what they still have."""
        agents = [node.agent for node in self._cluster.nodes.values() if node.agent]
        wholes = [whole for agent in agents for whole in agent.inventory.wholes()]
        shared = dict.fromkeys(str(one.id) for one in wholes if not one.title.claims)
        self._seen = shared if self._cluster.is_calm else self._seen | shared
        by_id = self._cluster.archive.by_id
        versions = [by_id[one] for one in self._seen if one in by_id]
        is_whole = self.kind != "contradicts"
        return tuple(Holding(one.name, one.id, one.size_bytes, is_whole) for one in versions)[-20:]

    def _stolen_words(self) -> list[Message]:
        """Return what a node does not want said in its name, with a token and an epoch of ours."""
        rng, token = self._rng, f"{self._rng.getrandbits(32):x}"
        epoch = rng.choice((0, 1, TODAY_MS, 2**42, 2**53))
        host = rng.choice(list(self._cluster.nodes.values()))
        address = rng.choice((host.address, self._address))
        everything = [Query(one, host.name, token=token) for one in list(self._seen)[-3:]]
        return [
            *everything,
            Update(host.name, address, epoch, 2**31, replace=True, token=token),
            Renew(host.name, epoch, 0, token=token),
            Leave(host.name, epoch, token=token),
        ]

    # To other nodes.

    def _serve(self) -> None:
        context: Any = zmq.Context()
        rep = context.socket(zmq.REP)
        self._cluster.keyrings.guard(rep, self.name)
        rep.bind(self._address)
        while True:
            rep.poll()
            try:
                frames = rep.recv_multipart()
                request: NodeRequest = messages.decode(frames[0], NodeRequest, 1 << 16)
            except (MalformedMessageError, zmq.Again):
                continue
            self._cluster.hits[f"liar asked: {self.kind}"] += 1
            self._reply(rep, self._answer(request))

    def _reply(self, rep: Any, answer: Answer) -> None:
        if isinstance(answer, bytes):
            rep.send_multipart([answer])
        elif answer is None:
            end, rep.asking = rep.asking[0], None  # It takes the next one without answering.
            rep.unanswerable += 1
            if self._rng.random() < 0.2:
                end.lose()
        else:
            reply, payload = answer
            assert reply is not None
            body = messages.encode(reply)
            rep.send_multipart([body] if payload is None else [body, payload])

    def _answer(self, request: NodeRequest) -> Answer:
        if self.kind in _ALWAYS:
            return _ALWAYS[self.kind](self._rng)
        match request:
            case ManifestRequest(what):
                return self._manifest(what)
            case ChunkRequest():
                version = self._cluster.archive.by_id.get(request.id)
                if version is None or request.index >= len(version.chunks):
                    return Error(WireCode.NOT_FOUND, "does not have it"), None
                return self._chunk(version, request)
            case _:
                return Noted(), None

    def _manifest(self, what: str) -> Answer:
        archive = self._cluster.archive
        version = archive.by_id.get(what) or next(iter(archive.by_name.get(what, ())), None)
        if version is None:
            return Error(WireCode.NOT_FOUND, "does not have it"), None
        data = version.data
        if self.kind == "wrong manifest":
            at = self._rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        return ManifestReply(version.id, version.name), data

    def _chunk(self, version: Version, request: ChunkRequest) -> Answer:
        index, kind = request.index, self.kind
        if kind == "slow":
            self._cluster.loop.pass_time(self._rng.uniform(0.0, SLOW_S))
        if kind == "stale":
            old = self._cluster.archive.by_name[version.name][0].chunks
            return self._told(
                version, index, (ChunkReply(index), old[index % len(old)] if old else b"")
            )
        if kind == "another chunk":
            index = self._rng.randrange(len(version.chunks))
        data = version.chunks[index]
        if kind in _OF_CHUNKS:
            return self._told(version, request.index, _OF_CHUNKS[kind](self._rng, index, data))
        return self._told(version, request.index, (ChunkReply(index), data))

    def _told(self, version: Version, index: int, answer: Answer) -> Answer:
        """Note that it has what it tells, if that is right."""
        if isinstance(answer, tuple) and answer[1] == version.chunks[index]:
            self._cluster.checks.shown.add(version.id)
        return answer


def _contradicting(rng: random.Random, index: int, data: bytes) -> Answer:
    have = rng.randbytes(rng.randrange(1, 3))
    return (ChunkReply(index, have), data) if rng.random() < 0.5 else (Nothing(have), None)


_OF_CHUNKS: dict[str, Callable[[random.Random, int, bytes], Answer]] = {
    "wrong bytes": lambda rng, index, data: (ChunkReply(index), rng.randbytes(len(data))),
    "one bit": lambda _, index, data: (ChunkReply(index), bytes([data[0] ^ 1]) + data[1:]),
    "short": lambda _, index, data: (ChunkReply(index), data[: len(data) // 2]),
    "long": lambda _, index, data: (ChunkReply(index), data + b"more"),
    "contradicts": _contradicting,
    "claims all": lambda *_: (Nothing(b""), None),
    "sometimes right": lambda rng, index, data: (
        ChunkReply(index),
        data if rng.random() < 0.5 else b"no",
    ),
}


_ALWAYS: dict[str, Callable[[random.Random], Answer]] = {
    "silent": lambda _: None,
    "errors": lambda rng: (Error(rng.choice(list(WireCode)), "no \x1b[31m"), None),
    "garbage": lambda rng: rng.randbytes(rng.randrange(1, 99)),
    "empty": lambda _: b"",
    "nothing": lambda _: (Nothing(b"\0"), None),
    "another answer": lambda _: (Noted(), None),
}
KINDS = (
    *_ALWAYS,
    *_OF_CHUNKS,
    *("wrong manifest", "stale", "another chunk", "slow", "replays", "speaks for others"),
)


class Replayer(Stranger):
    """Says again to the tracker what others have said to it, late and out of order."""

    WORD = "replayer"

    def _do(self) -> None:
        context: Any = zmq.Context()
        sock = context.socket(zmq.DEALER)
        sock.setsockopt(zmq.RECONNECT_IVL, 500)
        sock.connect(self._cluster.tracker.address)
        cluster = self._cluster
        while True:
            cluster.loop.pass_time(self._rng.uniform(0.1, 3.0))
            heard = [frames for host, frames in cluster.net.heard if host.startswith("tracker")]
            if heard and not cluster.is_calm:
                cluster.hits["messages replayed"] += 1
                with contextlib.suppress(zmq.Again):
                    sock.send_multipart(self._rng.choice(heard))


class Complainer(Stranger):
    """Tells honest holders again and again that their chunks are wrong."""

    WORD = "complainer"

    def _do(self) -> None:
        context: Any = zmq.Context()
        cluster, rng = self._cluster, self._rng
        while True:
            cluster.loop.pass_time(rng.uniform(0.5, 5.0))
            target = cluster.nodes[rng.choice(sorted(cluster.nodes))]
            versions = list(cluster.archive.by_id.values())
            if not versions:
                continue
            version = rng.choice(versions)
            sock = context.socket(zmq.DEALER)
            sock.setsockopt(zmq.RECONNECT_IVL, -1)
            cluster.keyrings.secure(sock, self.name, target.name)
            sock.connect(target.address)
            index = rng.randrange(len(version.chunks) + 1)
            wrong = messages.WrongChunk(version.id, index, "nobody")
            with contextlib.suppress(zmq.Again):
                sock.send_multipart([b"tag", b"", messages.encode(wrong)])
            cluster.hits["complaints"] += 1
            cluster.loop.pass_time(1.0)
            sock.close()

"""Strangers at the doors of a cluster with keys: whatever they show and say, they learn nothing."""

import contextlib
import random
from typing import TYPE_CHECKING, Any

import zmq
from shoal.protocol import messages
from shoal.protocol.keyring import Towards
from shoal.protocol.keys import KeyPair
from shoal.protocol.message import Message
from shoal.protocol.messages import (
    ChunkRequest,
    Leave,
    List,
    ManifestRequest,
    Query,
    Renew,
    Status,
    Update,
    WrongChunk,
)
from shoal.protocol.pushing import Push, Target, Unpush, Wishes
from shoal.wire import curve

from tests.simulation.faults import admission
from tests.simulation.faults.hosts import TRACKER_ADDRESS
from tests.simulation.faults.keyrings import READER
from tests.simulation.faults.liars import Stranger

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster

HEARD_S = 2.0
SHOWN = ("no key", "an unknown key", "a key without its secret", "an old key", "a reader's key")
MOST_EPOCH = 2**52


class Knocker(Stranger):
    """Asks the tracker and nodes, again and again, with a key that does not let it in.

    With a reader's it is let in, and says what readers may not.
    """

    def __init__(self, cluster: "Cluster", number: int, rng: random.Random) -> None:
        super().__init__(cluster, number, rng)
        self._address = f"tcp://10.0.0.{number}:5000"

    def _do(self) -> None:
        context: Any = zmq.Context()
        rng, loop = self._rng, self._cluster.loop
        while True:
            loop.pass_time(rng.uniform(0.2, 4.0))
            target = rng.choice(["tracker", *sorted(self._cluster.nodes)])
            shown = rng.choice(SHOWN)
            sock = context.socket(zmq.DEALER)
            sock.setsockopt(zmq.RECONNECT_IVL, -1)
            towards = self._towards(target, shown)
            if towards is not None:
                curve.secure_client(sock, towards)
            is_tracker = target == "tracker"
            sock.connect(TRACKER_ADDRESS if is_tracker else self._cluster.nodes[target].address)
            words = self._to_tracker() if is_tracker else self._to_node()
            for word in rng.sample(words, min(3, len(words))):
                with contextlib.suppress(zmq.Again):
                    sock.send_multipart([b"tag", b"", messages.encode(word)])
            self._cluster.hits[f"stranger shows {shown}"] += 1
            loop.pass_time(HEARD_S)
            self._hear(sock, target, shown)
            sock.close()

    def _hear(self, sock: Any, target: str, shown: str) -> None:
        while sock.has_mail():
            frames = sock.recv_multipart()
            if shown in {"an old key", "a reader's key"}:
                continue  # Not everybody knows yet that it is old; what readers may is told.
            admission.require_nothing_told(self.name, target, frames)

    def _towards(self, target: str, shown: str) -> Towards | None:
        keyrings, rng = self._cluster.keyrings, self._rng
        if shown == "no key" or not keyrings.is_on:
            return None
        own = keyrings.pairs[READER] if shown == "a reader's key" else keyrings.new_pair()
        if shown == "an old key" and keyrings.old:
            own = rng.choice(keyrings.old)
        elif shown == "a key without its secret":
            stolen = keyrings.pairs[rng.choice(sorted(keyrings.pairs))]
            own = KeyPair(stolen.public, own.secret)
        return Towards(own, keyrings.pairs[target].public, self.name)

    def _to_tracker(self) -> list[Message]:
        node, epoch = self._node(), self._rng.choice((1, MOST_EPOCH))
        return [
            Query(self._what(), node),
            List(),
            Status(),
            Update(node, self._address, epoch, 1, replace=True),
            Renew(node, epoch, 0),
            Leave(node, epoch),
            Wishes(node),
            Push("file1", self._what(), 1, Target()),
            Unpush("tree0"),
        ]

    def _to_node(self) -> list[Message]:
        what, node = self._what(), self._node()
        return [ManifestRequest(what), ChunkRequest(what, 0, node), WrongChunk(what, 0, node)]

    def _node(self) -> str:
        return self._rng.choice([self.name, *sorted(self._cluster.nodes)])

    def _what(self) -> str:
        known = sorted(self._cluster.archive.by_id)
        return self._rng.choice(known) if known else f"b3:{0:064x}"

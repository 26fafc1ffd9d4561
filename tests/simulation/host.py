"""One virtual node: the product's machines, with the network's time around them."""

import collections
import random
from collections.abc import Callable

from node import steps
from node.download import Download
from node.pacing import Pacing
from node.serving import SendChunk, SendError, SendManifest, SendNothing, Serving
from protocol import bitmap
from protocol.manifest import ContentId, Manifest, encode
from protocol.messages import (
    ChunkRequest,
    Error,
    Holders,
    Holding,
    ManifestRequest,
    Message,
    NodeRequest,
    Query,
    Update,
)
from tests.simulation.network import Place, receive, send
from tests.simulation.world import World

REQUEST_BYTES = 300  # A request with its bitmap, and what TCP and ZMTP add.
REPLY_BYTES = 200

AskTracker = Callable[[Message], Message]


class Shelf:
    """What a virtual node has of the one thing there is."""

    name = "thing"

    def __init__(self, content_id: ContentId, manifest: Manifest, have: int) -> None:
        self.id = content_id
        self.manifest = manifest
        self.have = have
        self.data = encode(manifest)

    @property
    def chunk_count(self) -> int:
        return self.manifest.chunk_count

    def read(self, index: int) -> bytes:
        raise AssertionError(index)

    def find(self, what: str) -> "Shelf | None":
        return self if what in {self.name, self.id} else None


class Host:
    """A node at a place in the network. `peers` are all hosts, by name."""

    def __init__(
        self, name: str, at: Place, shelf: Shelf, world: World, peers: "dict[str, Host]"
    ) -> None:
        self.name = name
        self.at = at
        self.shelf = shelf
        self.download: Download | None = None
        self.finished_at: float | None = None
        self.failure: str | None = None
        self._world = world
        self._peers = peers
        self._serving = Serving(shelf)
        self._waiting: collections.OrderedDict[str, collections.deque[tuple[int, NodeRequest]]] = (
            collections.OrderedDict()
        )
        self._pacing = Pacing()
        self._replies = 0
        self._ask_tracker: AskTracker | None = None
        self._timer_at = float("inf")
        self._sequence = 0

    @property
    def address(self) -> str:
        return f"tcp://{self.name}:5000"

    def join(self, rng: random.Random, tracker: AskTracker) -> None:
        """Begin to fetch the thing."""
        self._ask_tracker = tracker
        self.download = Download("thing", self.name, "tcp://tracker:4000", rng)
        self._feed(steps.TimePassed())

    def announce(self, tracker: AskTracker, *, complete: bool) -> None:
        self._sequence += 1
        shelf = self.shelf
        holding = Holding(shelf.name, shelf.id, shelf.manifest.size_bytes, complete=complete)
        tracker(Update(self.name, self.address, 1, self._sequence, (holding,)))

    # Serving: a REP, which answers one request of each asker in turn.

    def requested(self, asker: str, request_id: int, request: NodeRequest) -> None:
        self._waiting.setdefault(asker, collections.deque()).append((request_id, request))
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._pacing.allows(self._world.now):
            asker, queue = self._waiting.popitem(last=False)
            request_id, request = queue.popleft()
            if queue:
                self._waiting[asker] = queue
            if isinstance(request, ChunkRequest) and self.download is not None:
                self._feed(steps.PeerHeard(asker, request.have))
            self._reply(self._peers[asker], request_id, request)

    def _reply(self, asker: "Host", request_id: int, request: NodeRequest) -> None:
        name = self.name
        match self._serving.handle(request, self._world.now):
            case SendChunk(_, index, have, askers):
                size = self.shelf.manifest.chunk_size(index)
                digest = self.shelf.manifest.digest(index)
                event: steps.Event = steps.ChunkReceived(
                    name, request_id, index, size, digest, have, askers
                )
                size += REPLY_BYTES
            case SendManifest():
                event = steps.ManifestReceived(name, request_id, self.shelf.data)
                size = len(self.shelf.data)
            case SendNothing(have):
                event, size = steps.NothingReceived(name, request_id, have), REPLY_BYTES
            case SendError(code, reason):
                event = steps.RequestRefused(name, request_id, code, reason)
                size = REPLY_BYTES
            case other:
                raise AssertionError(other)
        self._replies += 1
        number = self._replies
        self._pacing.queued(number, size, self._world.now)
        left_at = self._send(asker, size, lambda: asker.hear(event))
        self._world.at(left_at, lambda: self._sent(number))

    def _sent(self, number: int) -> None:
        self._pacing.left(number, self._world.now)
        self._serve()

    # Fetching.

    def hear(self, event: steps.Event) -> None:
        if self.at.is_alive:
            self._feed(event)

    def _feed(self, event: steps.Event) -> None:
        assert self.download is not None
        for action in self.download.handle(event, self._world.now):
            self._carry_out(action)
        deadline = self.download.deadline(self._world.now)
        if deadline is not None and not self._world.now < self._timer_at <= deadline:
            self._timer_at = deadline
            self._world.at(deadline, lambda: self._ring(deadline))

    def _ring(self, deadline: float) -> None:
        if self._timer_at == deadline and self.at.is_alive:
            self._timer_at = float("inf")
            self._feed(steps.TimePassed())

    def _carry_out(self, action: steps.Action) -> None:
        match action:
            case steps.RequestChunk(node, request_id, content_id, offered, have, patience_ms):
                request = ChunkRequest(content_id, offered, self.name, have, patience_ms)
                self._request(node, request_id, request)
            case steps.RequestManifest(node, request_id, what, may_wait):
                self._request(node, request_id, ManifestRequest(what, may_wait))
            case steps.StoreChunk(index):
                self.shelf.have |= 1 << index
            case steps.QueryTracker(what, partial):
                self._query(Query(what, self.name, partial=partial))
            case steps.Connect(node):
                self._connect(node)
            case _:
                self._come_on(action)

    def _come_on(self, action: steps.Action) -> None:
        """Carry out what happens once in a fetch. A disk takes no time here."""
        assert self._ask_tracker is not None
        match action:
            case steps.OpenStaging():
                self.announce(self._ask_tracker, complete=False)
                opened = steps.StagingOpened(0, bitmap.full(self.shelf.chunk_count))
                self._world.at(self._world.now, lambda: self.hear(opened))
            case steps.Publish():
                self._world.at(self._world.now, lambda: self.hear(steps.Published("thing")))
            case steps.Finish():
                self.finished_at = self._world.now
                self.announce(self._ask_tracker, complete=True)
            case steps.Fail(_, message):
                self.failure = message
            case _:
                assert isinstance(action, steps.Disconnect)

    def _connect(self, node: str) -> None:
        if not self._peers[node].at.is_alive:
            lost = steps.HolderLost(node, "cannot be reached")
            self._world.at(self._world.now + self.at.latency_s, lambda: self.hear(lost))

    def _request(self, node: str, request_id: int, request: NodeRequest) -> None:
        peer = self._peers[node]
        name = self.name

        def arrive() -> None:
            if peer.at.is_alive:
                peer.requested(name, request_id, request)

        self._send(peer, REQUEST_BYTES, arrive)

    def _send(self, peer: "Host", size_bytes: int, arrive: Callable[[], None]) -> float:
        """Have `arrive` called when so many bytes are there; return when they have left here."""
        left_at, due_at = send(self.at, peer.at, size_bytes, self._world.now)

        def come_in() -> None:
            self._world.at(receive(peer.at, size_bytes, self._world.now), arrive)

        self._world.at(due_at, come_in)
        return left_at

    def _query(self, query: Query) -> None:
        assert self._ask_tracker is not None
        reply = self._ask_tracker(query)
        event: steps.Event = steps.NotFound()
        if isinstance(reply, Holders):
            event = steps.HoldersFound(reply)
        else:
            assert isinstance(reply, Error)
        self._world.at(self._world.now + 2 * self.at.latency_s, lambda: self.hear(event))

"""One virtual node: the product's machines, with the network's time around them."""

import collections
import random

from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.drive import drive
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.versions import Meant
from shoal.node.serving.answering import SendChunk, SendError, SendManifest, SendNothing, Serving
from shoal.node.serving.pacing import Pacing
from shoal.node.serving.settings import NodeSettings
from shoal.node.serving.turns import Source
from shoal.protocol import bitmap
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId, Manifest, encode
from shoal.protocol.messages import (
    ChunkRequest,
    Error,
    Holders,
    Holding,
    ManifestRequest,
    NodeRequest,
    Ok,
    Query,
    Renew,
    TrackerRequest,
    Update,
)

from tests.simulation.station import (
    REPLY_BYTES,
    REQUEST_BYTES,
    TRACKER,
    Answer,
    Asked,
    AskedTracker,
    Message,
    Network,
    Sent,
    Station,
    Told,
)
from tests.simulation.world import World

RENEW_S = NodeSettings().renew_s
PACED_BYTES = 64 << 10  # Shorter replies are copied, and count as sent at once (wire.releases).
EPOCH = 1
SETTINGS = FetchSettings()
NOTICED_S = 1.0  # How often a fetch checks whether bytes are coming in.
DISK_ACTIONS = steps.OpenStaging | steps.LayOut | steps.StoreChunk | steps.Publish


class Shelf:
    """The chunks that a virtual node has of the one thing that is shared."""

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


class Disk:
    """May refuse the n-th operation; nothing may be asked of it after that."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self._asked = 0

    @property
    def has_refused(self) -> bool:
        return self.fails_at is not None and self._asked >= self.fails_at

    def refuses(self, action: steps.Action) -> bool:
        if not isinstance(action, DISK_ACTIONS):
            return False
        self._asked += 1
        assert self.fails_at is None or self._asked <= self.fails_at
        return self._asked == self.fails_at


class Host(Station):
    """A node at a place in the network."""

    def __init__(
        self, number: int, name: str, world: World, network: Network, shelf: Shelf
    ) -> None:
        super().__init__(number, name, world, network)
        self.shelf = shelf
        self.download: Download | None = None
        self.joined_at = 0.0
        self.finished_at: float | None = None
        self.failure: str | None = None
        self.disk = Disk()
        self._serving = Serving(shelf, random.Random(number))
        self._waiting: collections.OrderedDict[str, collections.deque[Asked]] = (
            collections.OrderedDict()
        )
        self._pacing = Pacing()
        self._replies = 0
        self._timer_at = float("inf")
        self._sequence = 0

    @property
    def address(self) -> str:
        return f"tcp://{self.name}:5000"

    @property
    def is_over(self) -> bool:
        return self.finished_at is not None or self.failure is not None

    @property
    def is_alive(self) -> bool:
        return self.place.is_alive(self.world.now)

    def join(self, rng: random.Random) -> None:
        """Begin to fetch the thing."""
        self.joined_at = self.world.now
        meant = Meant("thing", "thing")
        self.download = Download(meant, self.name, "tcp://tracker:4000", rng, SETTINGS)
        self._feed(steps.TimePassed())

    def announce(self, *, complete: bool) -> None:
        self._sequence += 1
        shelf = self.shelf
        holding = Holding(shelf.name, shelf.id, shelf.manifest.size_bytes, complete=complete)
        self._tell_tracker(Update(self.name, self.address, EPOCH, self._sequence, (holding,)))
        if self._sequence == 1:
            self.at(self.world.now + RENEW_S, self._renew)

    def _renew(self) -> None:
        if self.is_alive:
            self._tell_tracker(Renew(self.name, EPOCH, holdings=1))
            self.at(self.world.now + RENEW_S, self._renew)

    def take(self, message: Message | steps.Event) -> None:
        if not self.is_alive:
            return
        match message:
            case Asked(asker):
                self._waiting.setdefault(asker, collections.deque()).append(message)
                self._serve()
            case Told(Holders() as holders):
                self._feed(steps.HoldersFound(holders))
            case Told(Error(code=WireCode.NOT_FOUND)):
                self._feed(steps.NotFound())
            case Told(reply):
                assert isinstance(reply, Ok)
            case _:
                assert not isinstance(message, AskedTracker)
                self._feed(message)

    # Serving: a REP, which answers one request of each asker in turn.

    def _serve(self) -> None:
        while self._waiting and self._pacing.allows(self.world.now):
            asker, queue = self._waiting.popitem(last=False)
            asked = queue.popleft()
            if queue:
                self._waiting[asker] = queue
            self._reply(asked)

    def _reply(self, asked: Asked) -> None:
        name, request_id = self.name, asked.request.request_id
        match self._serving.handle(_message(asked), Source(asked.asker, ""), self.world.now):
            case SendChunk(_, index, have, askers):
                size = self.shelf.manifest.chunk_size(index)
                digest = self.shelf.manifest.digest(index)
                event: Answer = steps.ChunkReceived(
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
        left_at = self.send(asked.asker, size, event)
        if size >= PACED_BYTES:
            self._replies += 1
            self._pacing.queued(self._replies, size, self.world.now)
            self.at(left_at, self._sent, self._replies)

    def _sent(self, number: int) -> None:
        self._pacing.left(number, self.world.now)
        if self.is_alive:
            self._serve()

    # Fetching.

    def get(self, sent: Sent) -> None:
        """Receive a message; one that takes long is noticed before it is complete."""
        super().get(sent)
        whole_at = self.place.down.free_at
        if isinstance(sent.message, steps.ChunkReceived | steps.ManifestReceived):
            self.at(self.world.now + NOTICED_S, self._notice, sent.message.node, whole_at)

    def _notice(self, node: str, whole_at: float) -> None:
        if self.world.now < whole_at and self.is_alive:
            self._feed(steps.BytesCame(node))
            self.at(self.world.now + NOTICED_S, self._notice, node, whole_at)

    def _feed(self, event: steps.Event) -> None:
        assert self.download is not None
        now, download = self.world.now, self.download
        drive(lambda event: download.handle(event, now), self._carry_out, event)
        deadline = download.deadline(now)
        if deadline is not None and not now < self._timer_at <= deadline:
            self._timer_at = deadline
            self.at(deadline, self._ring, deadline)

    def _ring(self, deadline: float) -> None:
        if self._timer_at == deadline and self.is_alive:
            self._timer_at = float("inf")
            self._feed(steps.TimePassed())

    def _carry_out(self, action: steps.Action) -> steps.Event | None:
        if self.disk.refuses(action):
            return steps.DiskFailed("the disk refused")
        match action:
            case steps.RequestChunk(node) | steps.RequestManifest(node):
                self.send(node, REQUEST_BYTES, Asked(self.name, action))
            case steps.StoreChunk(index=index):
                self.shelf.have |= 1 << index
            case steps.QueryTracker(what, partial):
                self._tell_tracker(Query(what, self.name, partial=partial))
            case steps.Connect(node):
                self._connect(node)
            case _:
                self._come_on(action)
        return None

    def _come_on(self, action: steps.Action) -> None:
        """Carry out what happens once in a fetch. Disks take no time here."""
        now = self.world.now
        match action:
            case steps.OpenStaging():
                self.announce(complete=False)
                opened = steps.StagingOpened(0, bitmap.full(self.shelf.chunk_count))
                self.at(now, self.take, opened)
            case steps.Publish():
                assert self.shelf.have == bitmap.full(self.shelf.chunk_count)
                self.at(now, self.take, steps.Published("thing"))
            case steps.Finish():
                self.finished_at = now
                self.announce(complete=True)
            case steps.Fail(_, message):
                self.failure = message
            case _:
                assert isinstance(action, steps.Disconnect)

    def _connect(self, node: str) -> None:
        """Report, a round trip later, how far away a holder is, or that it is gone."""
        place = self._network.place_of(node)
        round_trip_s = 2 * (self.place.latency_s + place.latency_s)
        event: steps.Event = steps.HolderConnected(node, round_trip_s)
        if not place.is_alive(self.world.now):
            event = steps.HolderLost(node, "cannot be reached")
        self.at(self.world.now + round_trip_s, self.take, event)

    def _tell_tracker(self, request: TrackerRequest) -> None:
        self.send(TRACKER, REQUEST_BYTES, AskedTracker(self.name, request))


def _message(asked: Asked) -> NodeRequest:
    """Return the request as a message."""
    match asked.request:
        case steps.RequestChunk(_, _, content_id, index, have, patience_ms):
            return ChunkRequest(content_id, index, asked.asker, have, patience_ms)
        case steps.RequestManifest(what=what, may_wait=may_wait):
            return ManifestRequest(what, may_wait)

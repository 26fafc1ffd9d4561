"""One virtual node: the product's machines, with the network's time around them."""

import functools
import math
import random

from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.drive import drive
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.versions import Meant
from shoal.node.serving import steps as serving
from shoal.node.serving.drive import drive as drive_serving
from shoal.node.serving.server import Server
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import bitmap
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId, Manifest, encode
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    Holders,
    Holding,
    ManifestReply,
    ManifestRequest,
    NodeReply,
    NodeRequest,
    Nothing,
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
    TRACKER_ADDRESS,
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

NODE = NodeSettings()
EPOCH = 1
SETTINGS = FetchSettings()
NOTICED_S = 1.0  # How often a fetch checks whether bytes are coming in.
DISK_ACTIONS = steps.OpenStaging | steps.LayOut | steps.StoreChunk | steps.Publish


_zeros = functools.cache(bytes)  # Chunks that nobody reads.


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

    def chunk_size(self, index: int) -> int:
        return self.manifest.chunk_size(index)

    def read(self, index: int) -> bytes:
        return _zeros(self.manifest.chunk_size(index))

    def find(self, what: str) -> "Shelf | None":
        return self if what in {self.name, self.id} else None


def address_of(number: int) -> str:
    """Return the address of the host with a number."""
    return f"tcp://10.{number >> 16}.{number >> 8 & 255}.{number & 255}:5000"


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
        self._number = number
        self.shelf = shelf
        self.download: Download | None = None
        self.joined_at = 0.0
        self.finished_at: float | None = None
        self.failure: str | None = None
        self.disk = Disk()
        self._server = Server(shelf, NODE.say_s)
        self._asked: dict[int, Asked] = {}
        self._requests = 0
        self._server_timer_at = float("inf")
        self._timer_at = float("inf")
        self._sequence = 0

    @property
    def address(self) -> str:
        return address_of(self._number)

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
        self.download = Download(meant, self.name, (TRACKER_ADDRESS,), rng, SETTINGS)
        self._feed(steps.TimePassed())

    def announce(self, *, complete: bool) -> None:
        self._sequence += 1
        shelf = self.shelf
        holding = Holding(shelf.name, shelf.id, shelf.manifest.size_bytes, complete=complete)
        self._tell_tracker(Update(self.name, self.address, EPOCH, self._sequence, (holding,)))
        if self._sequence == 1:
            self.at(self.world.now + NODE.renew_s, self._renew)

    def _renew(self) -> None:
        if self.is_alive:
            self._tell_tracker(Renew(self.name, EPOCH, holdings=1))
            self.at(self.world.now + NODE.renew_s, self._renew)

    def take(self, message: Message | steps.Event) -> None:
        if not self.is_alive:
            return
        match message:
            case Asked(asker):
                self._requests += 1
                self._asked[self._requests] = message
                source = serving.Source(asker, "")
                request = _request(message)
                self._serve(serving.RequestArrived(self._requests, source, request))
            case Told(Holders() as holders):
                self._feed(steps.HoldersFound(holders))
            case Told(Error(code=WireCode.NOT_FOUND)):
                self._feed(steps.NotFound())
            case Told(reply):
                assert isinstance(reply, Ok)
            case _:
                assert not isinstance(message, AskedTracker)
                self._feed(message)

    # Serving.

    def _serve(self, event: serving.Event) -> None:
        now, server = self.world.now, self._server
        drive_serving(lambda event: server.handle(event, now), self._carry_out_serving, event)
        deadline = server.deadline(now)
        if not math.isinf(deadline) and not now < self._server_timer_at <= deadline:
            self._server_timer_at = deadline
            self.at(deadline, self._ring_server, deadline)

    def _ring_server(self, deadline: float) -> None:
        if self._server_timer_at == deadline and self.is_alive:
            self._server_timer_at = float("inf")
            self._serve(serving.TimePassed())

    def _carry_out_serving(self, action: serving.Action) -> serving.Event | None:
        match action:
            case serving.ReadChunk(number, shared, index):
                return serving.ChunkRead(number, shared.read(index))
            case serving.SendReply():
                self._reply(action)
            case _:
                assert isinstance(action, serving.LogUpload)
        return None

    def _reply(self, action: serving.SendReply) -> None:
        asked = self._asked.pop(action.number)
        size_bytes = REPLY_BYTES if action.payload is None else REPLY_BYTES + len(action.payload)
        event = self._as_received(asked.request.request_id, action.message)
        left_at = self.send(asked.asker, size_bytes, event)
        if action.is_counted:
            self.at(left_at, self._left, action.number)

    def _left(self, number: int) -> None:
        if self.is_alive:
            self._serve(serving.ReplyLeft(number))

    def _as_received(self, request_id: int, message: NodeReply) -> Answer:
        """Return what a reply is to the fetch that asked for it."""
        name, shelf = self.name, self.shelf
        match message:
            case ChunkReply(index, have, askers):
                size, digest = shelf.manifest.chunk_size(index), shelf.manifest.digest(index)
                return steps.ChunkReceived(name, request_id, index, size, digest, have, askers)
            case ManifestReply():
                return steps.ManifestReceived(name, request_id, shelf.data)
            case Nothing(have):
                return steps.NothingReceived(name, request_id, have)
            case other:
                assert isinstance(other, Error)
                return steps.RequestRefused(name, request_id, other.code, other.message)

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
            case steps.Fail(_, message, _):
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


def _request(asked: Asked) -> NodeRequest:
    """Return the request as a message."""
    match asked.request:
        case steps.RequestChunk(_, _, content_id, index, have, patience_ms):
            return ChunkRequest(content_id, index, asked.asker, have, patience_ms)
        case steps.RequestManifest(what=what, may_wait=may_wait):
            return ManifestRequest(what, may_wait)

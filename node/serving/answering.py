"""What to answer a request with: the chunk, or why not. Reads no files and sends nothing."""

import collections
import math
from typing import TYPE_CHECKING, Protocol

import msgspec
from shoal.node.serving.turns import Source, Turns
from shoal.protocol import bitmap
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import (
    ChunkRequest,
    ManifestRequest,
    NodeRequest,
    StateRequest,
    WrongChunk,
)

if TYPE_CHECKING:
    from random import Random

MAX_WATCHED_IDS = 64  # Things whose requests are remembered: 4 KiB each, at most.
RECENT_REQUESTS = 32  # Among so many, more than one asker makes a swarm.
MANIFEST_BYTES = 512 << 10  # Manifests of one thing that leave at once, …
LEAST_MANIFESTS = 8  # … or so many, if they are long; …
MANIFEST_BYTES_PER_S = 1 << 20  # … then those who may wait get so much: the rest is for chunks.


class Shared(Protocol):
    """A thing that can be served, whole or in part."""

    @property
    def name(self) -> str: ...
    @property
    def id(self) -> ContentId: ...
    @property
    def chunk_count(self) -> int: ...
    @property
    def have(self) -> int: ...
    @property
    def data(self) -> bytes:
        """The canonical manifest bytes."""

    def read(self, index: int) -> bytes:
        """Return a chunk's bytes; for the shell, never called here."""


class Shelf(Protocol):
    """Where things are looked up, by name or id."""

    def find(self, what: str) -> Shared | None: ...


class SendManifest(msgspec.Struct, frozen=True):
    shared: Shared


class SendChunk(msgspec.Struct, frozen=True):
    """Send chunk `index`; `have` is the reply's: empty when everything is here."""

    shared: Shared
    index: int
    have: bytes
    askers: int  # That were served of late, this one included.


class SendNothing(msgspec.Struct, frozen=True):
    have: bytes


class TellState(msgspec.Struct, frozen=True):
    """Say how much of a thing is here."""

    name: str
    id: str | None


class TakeNote(msgspec.Struct, frozen=True):
    """Chunk `index` is said to have been sent wrong: say so to whoever checks it."""

    shared: Shared
    index: int


class SendError(msgspec.Struct, frozen=True):
    code: WireCode
    message: str


_NOT_HERE = SendError(WireCode.NOT_FOUND, "does not have it")
_NO_SUCH_CHUNK = SendError(WireCode.MALFORMED, "names a chunk that the file does not have")
_COME_AGAIN = SendError(WireCode.BUSY, "serves others first, who have had less")
_ASK_OTHERS = SendError(WireCode.BUSY, "has given its manifest to many, who can be asked for it")

Answer = SendManifest | SendChunk | SendNothing | TakeNote | TellState | SendError


class _Demand:
    """Who asks for one thing, and what of it has left."""

    def __init__(self) -> None:
        self._recent: collections.deque[str] = collections.deque(maxlen=RECENT_REQUESTS)
        self._unserved = 0  # What has not left yet in this round, of a thing that is whole here.
        self._room_bytes = float(MANIFEST_BYTES)  # For manifests, …
        self._room_at = -math.inf  # … at this time.

    def has_room(self, manifest_bytes: int, now: float) -> bool:
        """Say whether a manifest may leave; it counts as sent if so."""
        most = max(MANIFEST_BYTES, LEAST_MANIFESTS * manifest_bytes)
        grown = MANIFEST_BYTES_PER_S * (now - self._room_at)
        self._room_bytes = min(self._room_bytes + grown, most)
        self._room_at = now
        if self._room_bytes < manifest_bytes:
            return False
        self._room_bytes -= manifest_bytes
        return True

    def note(self, node: str) -> None:
        """Note that a node asks for a chunk."""
        self._recent.append(node)

    @property
    def askers(self) -> int:
        return len(set(self._recent))

    def for_swarm(self, everything: int) -> int:
        """Return what a whole holder gives away: all to one asker, to several what is unserved."""
        if self.askers < 2:  # noqa: PLR2004 (two are several)
            return everything
        if not self._unserved:
            self._unserved = everything
        return self._unserved

    def serve(self, index: int) -> None:
        """Note that a chunk leaves."""
        self._unserved &= ~(1 << index)


class Serving:
    """Answers with the chunk that is asked for, if it is here and may leave.

    A whole holder with several askers gives each chunk away once before it gives any twice
    (super-seeding, BEP 16): it says that it has what has not left yet, and the askers get the rest
    from each other. An asker that has all of that already gets what it asks for. One that asks over
    many connections waits for the others (node.serving.turns).
    """

    def __init__(self, shelf: Shelf, rng: "Random") -> None:
        self._shelf = shelf
        self._turns = Turns(rng)
        self._demand: collections.OrderedDict[str, _Demand] = collections.OrderedDict()

    def handle(self, request: NodeRequest, source: Source, now: float) -> Answer:
        """Return the answer to one request that is read at `now`, in seconds."""
        match request:
            case ManifestRequest():
                shared = self._shelf.find(request.what)
                return self._show(request, shared, now) if shared else _NOT_HERE
            case StateRequest():
                return TellState(request.name, request.id)
            case WrongChunk():
                shared = self._shelf.find(request.id)
                if shared is None:
                    return _NOT_HERE
                is_one = request.index < shared.chunk_count
                return TakeNote(shared, request.index) if is_one else _NO_SUCH_CHUNK
            case ChunkRequest():  # pragma: no branch
                if not self._turns.has_turn(source, request.node):
                    return _COME_AGAIN
                shared = self._shelf.find(request.id)
                return self._give(request, shared) if shared else _NOT_HERE

    def _show(self, request: ManifestRequest, shared: Shared, now: float) -> Answer:
        """Send the manifest, but not to all of a crowd: who has it can pass it on at once."""
        has_room = self._demand_for(shared.id).has_room(len(shared.data), now)
        return SendManifest(shared) if has_room or not request.may_wait else _ASK_OTHERS

    def _give(self, request: ChunkRequest, shared: Shared) -> Answer:
        count, index = shared.chunk_count, request.index
        if index >= count:
            return _NO_SUCH_CHUNK
        everything = bitmap.full(count)
        demand = self._demand_for(shared.id)
        demand.note(request.node)
        gives = shared.have
        if gives == everything and request.have:  # Who does not say what it has is no swarm.
            unserved = demand.for_swarm(everything)
            asker_has = bitmap.from_bytes(request.have, count)
            gives = unserved if unserved & ~asker_has else everything
        if not gives >> index & 1:
            return SendNothing(bitmap.to_bytes(gives, count))
        demand.serve(index)
        said = b"" if gives == everything else bitmap.to_bytes(gives, count)
        return SendChunk(shared, index, said, demand.askers)

    def _demand_for(self, content_id: ContentId) -> _Demand:
        demand = self._demand.get(content_id)
        if demand is None:
            demand = self._demand[content_id] = _Demand()
            if len(self._demand) > MAX_WATCHED_IDS:
                self._demand.popitem(last=False)
        else:
            self._demand.move_to_end(content_id)
        return demand

"""What to answer a request with: which chunk, or why none. Reads no files and sends nothing."""

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

MAX_WATCHED_IDS = 64  # Things whose chunks' popularity is kept in mind …
MAX_WATCHED_NODES = 64  # … and askers of each, those of late. 4 KiB a bitmap: at most 16 MiB.
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
    """Who has which chunks of one thing, and how often each was served from here."""

    def __init__(self) -> None:
        self.served: collections.Counter[int] = collections.Counter()
        self._have_by_node: collections.OrderedDict[str, int] = collections.OrderedDict()
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

    def note(self, node: str, have: int) -> None:
        self._have_by_node[node] = have
        self._have_by_node.move_to_end(node)
        self._recent.append(node)
        if len(self._have_by_node) > MAX_WATCHED_NODES:
            self._have_by_node.popitem(last=False)

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
        self.served[index] += 1
        self._unserved &= ~(1 << index)

    def rarest(self, indices: list[int]) -> int:
        """Return the chunk that the swarm needs most: the least served, then the least known."""
        if len(indices) == 1:
            return indices[0]
        least = min(self.served[index] for index in indices)
        indices = [index for index in indices if self.served[index] == least]
        return min(indices, key=self._known) if len(indices) > 1 else indices[0]

    def _known(self, index: int) -> int:
        return sum(have >> index & 1 for have in self._have_by_node.values())


class Serving:
    """The holder's choice: of the chunks that are offered, the one that is needed most.

    That is the one that this node has served least, and of those the one that the fewest askers
    have. A whole holder with several askers gives each chunk away once before it gives any twice
    (super-seeding, BEP 16): it says that it has what has not left yet, and the askers have the rest
    from each other. One who has all of that already gets what it asks for. And who asks over many
    connections waits for the others (node.turns).
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
                return self._choose(request, shared) if shared else _NOT_HERE

    def _show(self, request: ManifestRequest, shared: Shared, now: float) -> Answer:
        """Send the manifest, but not to all of a crowd: who has it can pass it on at once."""
        has_room = self._demand_for(shared.id).has_room(len(shared.data), now)
        return SendManifest(shared) if has_room or not request.may_wait else _ASK_OTHERS

    def _choose(self, request: ChunkRequest, shared: Shared) -> Answer:
        count = shared.chunk_count
        if max(request.offered) >= count:
            return _NO_SUCH_CHUNK
        everything = bitmap.full(count)
        demand = self._demand_for(shared.id)
        asker_has = bitmap.from_bytes(request.have, count)
        demand.note(request.node, asker_has)
        gives = shared.have
        if gives == everything and request.have:  # Who does not say what it has is no swarm.
            unserved = demand.for_swarm(everything)
            gives = unserved if unserved & ~asker_has else everything
        here = [index for index in request.offered if gives >> index & 1]
        if not here:
            return SendNothing(bitmap.to_bytes(gives, count))
        index = demand.rarest(here)
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

"""What to answer a request with: which chunk, or why none. Reads no files and sends nothing."""

import collections
from typing import Protocol

import msgspec

from protocol import bitmap
from protocol.errors import WireCode
from protocol.manifest import ContentId
from protocol.messages import ChunkRequest, ManifestRequest, NodeRequest

MAX_WATCHED_IDS = 64  # Things whose chunks' popularity is kept in mind …
MAX_WATCHED_NODES = 256  # … and askers of each. 4 KiB a bitmap: at most 64 MiB, usually far less.


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


class SendNothing(msgspec.Struct, frozen=True):
    have: bytes


class SendError(msgspec.Struct, frozen=True):
    code: WireCode
    message: str


_NOT_HERE = SendError(WireCode.NOT_FOUND, "does not have it")

Answer = SendManifest | SendChunk | SendNothing | SendError


class _Demand:
    """Who has which chunks of one thing, and how often each was served from here."""

    def __init__(self) -> None:
        self.served: collections.Counter[int] = collections.Counter()
        self.have_by_node: collections.OrderedDict[str, int] = collections.OrderedDict()

    def note(self, node: str, have: int) -> None:
        self.have_by_node[node] = have
        self.have_by_node.move_to_end(node)
        if len(self.have_by_node) > MAX_WATCHED_NODES:
            self.have_by_node.popitem(last=False)

    def rarity(self, index: int) -> tuple[int, int, int]:
        """Order chunks by how much the swarm needs them: the smallest first."""
        known = sum(have >> index & 1 for have in self.have_by_node.values())
        return self.served[index], known, index


class Serving:
    """The holder's choice: of the chunks that are offered, the one that is needed most.

    That is the one that this node has served least, and of those the one that the fewest askers
    have. So no chunk leaves twice before every chunk has left once.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._demand: collections.OrderedDict[str, _Demand] = collections.OrderedDict()

    def handle(self, request: NodeRequest) -> Answer:
        """Return the answer to one request."""
        match request:
            case ManifestRequest():
                shared = self._shelf.find(request.what)
                return SendManifest(shared) if shared else _NOT_HERE
            case ChunkRequest():  # pragma: no branch
                shared = self._shelf.find(request.id)
                return self._choose(request, shared) if shared else _NOT_HERE

    def _choose(self, request: ChunkRequest, shared: Shared) -> Answer:
        if max(request.offered) >= shared.chunk_count:
            return SendError(WireCode.MALFORMED, "offers a chunk that the file does not have")
        have = shared.have
        is_whole = have == bitmap.full(shared.chunk_count)
        said = b"" if is_whole else bitmap.to_bytes(have, shared.chunk_count)
        here = [index for index in request.offered if have >> index & 1]
        if not here:
            return SendNothing(said)
        demand = self._demand_for(shared.id)
        demand.note(request.node, bitmap.from_bytes(request.have, shared.chunk_count))
        index = min(here, key=demand.rarity) if len(here) > 1 else here[0]
        demand.served[index] += 1
        return SendChunk(shared, index, said)

    def _demand_for(self, content_id: ContentId) -> _Demand:
        demand = self._demand.setdefault(content_id, _Demand())
        self._demand.move_to_end(content_id)
        if len(self._demand) > MAX_WATCHED_IDS:
            self._demand.popitem(last=False)
        return demand

"""What a server is told, and what it has done: its events and actions. Decides nothing."""

from collections.abc import Hashable, Mapping
from typing import NamedTuple, Protocol

import msgspec
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import NodeReply, NodeRequest, State


class Source(NamedTuple):
    """Where a request comes from: the host, and which of its connections."""

    address: str
    connection: Hashable


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

    def chunk_size(self, index: int) -> int: ...
    def read(self, index: int) -> bytes:
        """Return a chunk's bytes. For the shell: the server never calls it."""


class Shelf(Protocol):
    """Where things are looked up, by name or id."""

    def find(self, what: str) -> Shared | None: ...


# Events. The shell numbers the requests: an answer has its request's number.


class RequestArrived(msgspec.Struct, frozen=True, gc=False):
    number: int
    source: Source
    request: NodeRequest
    size_bytes: int = 1  # What it takes in memory, about.


class NonsenseArrived(msgspec.Struct, frozen=True, gc=False):
    """Something arrived that is no request."""

    number: int
    source: Source
    code: WireCode
    reason: str


class ChunkRead(msgspec.Struct, frozen=True, gc=False):
    number: int
    data: bytes


class ChunkGone(msgspec.Struct, frozen=True, gc=False):
    """A chunk cannot be read any more."""

    number: int
    reason: str


class StateFound(msgspec.Struct, frozen=True, gc=False):
    number: int
    state: State


class AnswerFailed(msgspec.Struct, frozen=True, gc=False):
    """The shell could not carry out what a request led to, because of a bug."""

    number: int


class ReplyLeft(msgspec.Struct, frozen=True, gc=False):
    """All of a reply has left this host, or its receiver is gone."""

    number: int


class AskerLeft(msgspec.Struct, frozen=True, gc=False):
    """A connection has ended: what was requested over it need not be answered."""

    source: Source


class LimitChanged(msgspec.Struct, frozen=True, gc=False):
    """From now on so many bytes/s may be sent; None: as many as can be.

    `pace` is what the kernel may send, on top of that, however much is given to it; and `to_hosts`
    what it may send to single hosts, by their addresses.
    """

    rate: int | None
    pace: int | None = None
    to_hosts: Mapping[str, int] = {}


class TimePassed(msgspec.Struct, frozen=True, gc=False):
    """The server's deadline has passed."""


Arrived = RequestArrived | NonsenseArrived


class ManyArrived(msgspec.Struct, frozen=True, gc=False):
    """What has come in since the last time: none is answered before all are seen."""

    all: list[Arrived]


Event = (
    Arrived
    | ManyArrived
    | ChunkRead
    | ChunkGone
    | StateFound
    | AnswerFailed
    | ReplyLeft
    | AskerLeft
    | LimitChanged
    | TimePassed
)


def requests_of(event: Event) -> list[int]:
    """Return the numbers of the requests that an event may lead to an answer of."""
    match event:
        case ManyArrived(several):
            return [arrived.number for arrived in several]
        case ReplyLeft() | AskerLeft() | LimitChanged() | TimePassed():
            return []
        case _:
            return [event.number]


# Actions.


class ReadChunk(msgspec.Struct, frozen=True, gc=False):
    """Read a chunk; leads to `ChunkRead` or `ChunkGone`, sooner or later."""

    number: int
    shared: Shared
    index: int


class FindState(msgspec.Struct, frozen=True, gc=False):
    """Find out how much of a thing is here; leads to `StateFound`."""

    number: int
    name: str
    id: str | None


class SendReply(msgspec.Struct, frozen=True, gc=False):
    """Answer a request. If `is_counted`, `ReplyLeft` is to tell when the payload has left."""

    number: int
    message: NodeReply
    payload: bytes | None = None
    is_counted: bool = False


class SetPace(msgspec.Struct, frozen=True, gc=False):
    """Have the kernel send at most so many bytes/s over a connection."""

    source: Source
    rate: int


class EndPaces(msgspec.Struct, frozen=True, gc=False):
    """Have the kernel send over all connections as fast as it can."""


class End(msgspec.Struct, frozen=True, gc=False):
    """End a connection, which takes more than anybody may; leads to `AskerLeft`."""

    source: Source
    reason: str


class CheckChunk(msgspec.Struct, frozen=True, gc=False):
    """Have a chunk checked that is said to have been sent wrong."""

    id: ContentId
    index: int


class Withdraw(msgspec.Struct, frozen=True, gc=False):
    """Stop sharing a thing that has changed on disk."""

    shared: Shared
    reason: str


class LogUpload(msgspec.Struct, frozen=True, gc=False):
    """Log that a chunk is sent to a node."""

    name: str
    index: int
    chunk_count: int
    node: str


Action = (
    ReadChunk | FindState | SendReply | SetPace | EndPaces | End | CheckChunk | Withdraw | LogUpload
)

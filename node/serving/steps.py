"""What a server is told, and what it has done: its events and actions. Decides nothing."""

from typing import NamedTuple, Protocol

import msgspec
from shoal.protocol.errors import WireCode
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import NodeReply, NodeRequest, State


class Source(NamedTuple):
    """Where a request comes from: the host, and which of its connections."""

    address: str
    connection: str


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
        """Return a chunk's bytes. For the shell: the server never calls it."""


class Shelf(Protocol):
    """Where things are looked up, by name or id."""

    def find(self, what: str) -> Shared | None: ...


# Events. The shell numbers the requests: an answer has its request's number.


class RequestArrived(msgspec.Struct, frozen=True, gc=False):
    number: int
    source: Source
    request: NodeRequest


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


class TimePassed(msgspec.Struct, frozen=True, gc=False):
    """The server's deadline has passed."""


Arrived = RequestArrived | NonsenseArrived
Event = Arrived | ChunkRead | ChunkGone | StateFound | AnswerFailed | ReplyLeft | TimePassed

# Actions.


class ReadChunk(msgspec.Struct, frozen=True, gc=False):
    """Read a chunk; leads to `ChunkRead` or `ChunkGone`."""

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


Action = ReadChunk | FindState | SendReply | CheckChunk | Withdraw | LogUpload

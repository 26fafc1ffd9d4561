"""The words of a download: what can happen to it (events), and what it wants done (actions).

Events are past tense, actions imperative. The bytes of chunks never pass through here: the shell
has them in a reply, which `StoreChunk` names.
"""

import enum

import msgspec
from shoal.protocol.errors import Kind
from shoal.protocol.manifest import ContentId, Manifest
from shoal.protocol.messages import Holders

Stretches = tuple[tuple[int, int], ...]  # Of chunks.


class Phase(enum.Enum):
    """How far a download is."""

    LOOKING = enum.auto()
    MANIFEST = enum.auto()
    OPENING = enum.auto()
    FETCHING = enum.auto()
    PUBLISHING = enum.auto()
    OVER = enum.auto()


class _Event(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Something that happened. The simulator sends some of them from process to process."""


class _Action(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Something to be done. The simulator sends the requests among them."""


class HoldersFound(_Event, frozen=True):
    """The tracker answered."""

    answer: Holders


class NotFound(_Event, frozen=True):
    """The tracker knows no holder (its 404)."""


class TrackerLost(_Event, frozen=True):
    """The tracker does not answer, or refuses; `reason` is a sentence for people."""

    reason: str
    is_refusal: bool = False


class ManifestReceived(_Event, frozen=True):
    """A holder sent what should be the canonical bytes of a manifest."""

    node: str
    request_id: int
    data: bytes


class ChunkReceived(_Event, frozen=True):
    """A holder sent bytes: so many, with this BLAKE3 digest, as chunk `index`."""

    node: str
    request_id: int
    index: int
    size_bytes: int
    digest: bytes
    have: bytes
    askers: int = 0  # How many peers the holder says it serves at a time; 0: it does not say.


class NothingReceived(_Event, frozen=True):
    """A holder does not have the chunk, or gives it to nobody now; `have` is what it gives."""

    node: str
    request_id: int
    have: bytes


class RequestRefused(_Event, frozen=True):
    """A holder answered with an error."""

    node: str
    request_id: int
    code: int
    reason: str


class ReportNoted(_Event, frozen=True):
    """A holder answered, in whatever way, the report of a wrong chunk."""

    node: str
    request_id: int


class HolderConnected(_Event, frozen=True):
    """The connection to a holder is up; `round_trip_s` is how far away it is."""

    node: str
    round_trip_s: float


class BytesCame(_Event, frozen=True):
    """A holder has been sending for a while, though no whole reply has come."""

    node: str


class HolderLost(_Event, frozen=True):
    """The connection to a holder failed, or it sent something that is no message."""

    node: str
    reason: str
    lied: bool = False


class StagingOpened(_Event, frozen=True):
    """There is room for the chunks in `needed`; those in `have` are there already, and verified.

    `is_all`: that is everything. Of a tree the listing comes first. If its files are to come in
    order, `ends` are the chunks behind those whose turn comes together.
    """

    have: int
    needed: int
    is_all: bool = True
    ends: tuple[int, ...] = ()


class ListingRefused(_Event, frozen=True):
    """The tree was shared with an invalid listing; `reason` is a phrase for people."""

    reason: str


class DiskFailed(_Event, frozen=True):
    """The disk refused; `reason` is a sentence for people, `brief` its cause alone."""

    reason: str
    brief: str = ""


class Published(_Event, frozen=True):
    """The whole thing is in place under its own name."""

    path: str


class ChunksUrged(_Event, frozen=True):
    """Somebody reads here: of each stretch, the first chunk and the one after the last.

    These come before all others, until other ones do. No stretch: nobody reads any more. If `only`
    is given, no others are to come than are in that; of a tree, the listing does.
    """

    stretches: Stretches = ()
    only: Stretches | None = None


class TimePassed(_Event, frozen=True):
    """A deadline may have come."""


class QueryTracker(_Action, frozen=True):
    """Ask the tracker who holds it."""

    what: str
    partial: bool


class Connect(_Action, frozen=True):
    """Open a connection to a holder."""

    node: str
    address: str


class Disconnect(_Action, frozen=True):
    """Close the connection to a holder; `reason` is for the log, if there is one."""

    node: str
    reason: str = ""


class RequestManifest(_Action, frozen=True):
    """Ask a holder for the manifest; with `may_wait` it may point to others who will have it."""

    node: str
    request_id: int
    what: str
    may_wait: bool


class RequestChunk(_Action, frozen=True):
    """Request chunk `index` from a holder."""

    node: str
    request_id: int
    id: ContentId
    index: int
    have: bytes
    patience_ms: int


class ReportChunk(_Action, frozen=True):
    """Tell a holder that what it sent as chunk `index`, in reply to that request, is wrong."""

    node: str
    request_id: int
    id: ContentId
    index: int


class OpenStaging(_Action, frozen=True):
    """Make room for the bytes, and find what an earlier try has left."""

    name: str
    id: ContentId
    manifest: Manifest


class LayOut(_Action, frozen=True):
    """The listing of the tree is complete: make room for its files, and find what is there."""


class StoreChunk(_Action, frozen=True):
    """Write the bytes of that holder's reply to that request, wherever chunk `index` belongs."""

    node: str
    request_id: int
    index: int


class Publish(_Action, frozen=True):
    """All chunks are there: make them durable, and put the thing in place."""


class Finish(_Action, frozen=True):
    """Done; the shell may stop."""

    path: str


class Fail(_Action, frozen=True):
    """Give up; `message` is the sentence for the operator, `brief` its cause alone, if given."""

    kind: Kind
    message: str
    brief: str = ""


Event = (
    HoldersFound
    | NotFound
    | TrackerLost
    | ManifestReceived
    | ChunkReceived
    | NothingReceived
    | RequestRefused
    | ReportNoted
    | HolderConnected
    | BytesCame
    | HolderLost
    | StagingOpened
    | ListingRefused
    | DiskFailed
    | Published
    | ChunksUrged
    | TimePassed
)
Action = (
    QueryTracker
    | Connect
    | Disconnect
    | RequestManifest
    | RequestChunk
    | ReportChunk
    | OpenStaging
    | LayOut
    | StoreChunk
    | Publish
    | Finish
    | Fail
)

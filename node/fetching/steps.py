"""The words of a download: what can happen to it (events), and what it wants done (actions).

Events are past tense, actions imperative. Bytes of chunks never pass through here: the shell keeps
them until it is told to store or to drop them.
"""

import enum

import msgspec
from shoal.protocol.errors import ExitCode
from shoal.protocol.manifest import ContentId, Manifest
from shoal.protocol.messages import Holders


class Phase(enum.Enum):
    """Where a download is."""

    LOOKING = enum.auto()
    MANIFEST = enum.auto()
    OPENING = enum.auto()
    FETCHING = enum.auto()
    PUBLISHING = enum.auto()
    OVER = enum.auto()


class Event(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Something that happened. The simulator sends some of them from process to process."""


class Action(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Something to be done. The simulator sends the requests among them."""


class HoldersFound(Event, frozen=True):
    """The tracker answered."""

    answer: Holders


class NotFound(Event, frozen=True):
    """The tracker knows of nobody (its 404)."""


class TrackerLost(Event, frozen=True):
    """The tracker does not answer; `reason` is a sentence for people."""

    reason: str


class ManifestReceived(Event, frozen=True):
    """A holder sent what should be the canonical bytes of a manifest."""

    node: str
    request_id: int
    data: bytes


class ChunkReceived(Event, frozen=True):
    """A holder sent bytes: so many, with this BLAKE3 digest, as chunk `index`."""

    node: str
    request_id: int
    index: int
    size_bytes: int
    digest: bytes
    have: bytes
    askers: int = 0  # How many the holder serves at a time, by its own word; 0: it says nothing.


class NothingReceived(Event, frozen=True):
    """A holder has none of the offered chunks; `have` is what it has."""

    node: str
    request_id: int
    have: bytes


class RequestRefused(Event, frozen=True):
    """A holder answered with an error."""

    node: str
    request_id: int
    code: int
    reason: str


class PeerHeard(Event, frozen=True):
    """A node that fetches the same thing asked us for a chunk, and said what it has."""

    node: str
    have: bytes


class ReportNoted(Event, frozen=True):
    """A holder answered what it was told of a wrong chunk, in whatever way."""

    node: str
    request_id: int


class HolderConnected(Event, frozen=True):
    """The connection to a holder stands; `round_trip_s` is how far away it is."""

    node: str
    round_trip_s: float


class BytesCame(Event, frozen=True):
    """A holder has sent something for a while, though no whole reply."""

    node: str


class HolderLost(Event, frozen=True):
    """The connection to a holder failed, or it sends what is no message."""

    node: str
    reason: str
    lied: bool = False


class DiskAnswered(Event, frozen=True):
    """What was asked of the disk is done, or cannot be."""


class StagingOpened(DiskAnswered, frozen=True):
    """There is room for the chunks in `needed`; those in `have` are there already, and verified.

    `is_all`: these are all that is wanted. Of a tree it is the listing first.
    """

    have: int
    needed: int
    is_all: bool = True


class ListingRefused(DiskAnswered, frozen=True):
    """Who shared the tree made a listing that is none; `reason` is a phrase for people."""

    reason: str


class DiskFailed(DiskAnswered, frozen=True):
    """The disk refused; `reason` is a sentence for people."""

    reason: str


class Published(DiskAnswered, frozen=True):
    """The whole thing stands under its own name."""

    path: str


class TimePassed(Event, frozen=True):
    """A deadline may have come."""


class QueryTracker(Action, frozen=True):
    """Ask the tracker who holds it."""

    what: str
    partial: bool


class Connect(Action, frozen=True):
    """Open a connection to a holder."""

    node: str
    address: str


class Disconnect(Action, frozen=True):
    """Close the connection to a holder; `reason` is for the log, if there is anything to say."""

    node: str
    reason: str = ""


class RequestManifest(Action, frozen=True):
    """Ask a holder for the manifest; with `may_wait` it may say that others will have it soon."""

    node: str
    request_id: int
    what: str
    may_wait: bool


class RequestChunk(Action, frozen=True):
    """Offer a holder some chunks, one of which it is to send."""

    node: str
    request_id: int
    id: ContentId
    offered: tuple[int, ...]
    have: bytes
    patience_ms: int


class ReportChunk(Action, frozen=True):
    """Tell a holder that what it sent as chunk `index`, in reply to that request, is wrong."""

    node: str
    request_id: int
    id: ContentId
    index: int


class OpenStaging(Action, frozen=True):
    """Make room for the bytes, and see what is there from an earlier try."""

    name: str
    id: ContentId
    manifest: Manifest


class LayOut(Action, frozen=True):
    """The listing of the tree is there: make room for its files, and see what is there of them."""


class StoreChunk(Action, frozen=True):
    """Write the bytes of the event that was just handled, wherever the thing has them."""

    index: int


class Publish(Action, frozen=True):
    """All chunks are there: make them durable, and give them their name."""


class Finish(Action, frozen=True):
    """Done; the shell may go."""

    path: str


class Fail(Action, frozen=True):
    """Give up; `message` is the sentence for the operator."""

    exit_code: ExitCode
    message: str

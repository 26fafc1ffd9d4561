"""Every message, as types. docs/build/protocol.md explains them; the codec has the bytes.

A message is a msgpack map with `v` (the protocol's version) and `type`. Unknown keys are ignored,
so a newer peer may say more; missing or invalid ones are refused.
"""

import functools
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta
from shoal.protocol import addresses, codec, fields, manifest, names, pushing
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.message import Message
from shoal.protocol.pushing import Doing

VERSION = 2
OLDEST_VERSION = 1  # Its chunk requests offered several chunks; the rest is the same.
MAX_REQUEST_BYTES = 256 << 10  # To the tracker.
MAX_CHUNK_REQUEST_BYTES = 64 << 10  # To a node: a bitmap of 32,768 chunks and room.
MAX_REPLY_BYTES = 4 << 20
MAX_ITEMS = 4096  # In one array or map: 1024 nested ones cost 32 MiB for a moment.
MAX_UPDATE_HOLDINGS = 500  # 500 names of 240 bytes still fit in MAX_REQUEST_BYTES.
MAX_HANDOUT = 50  # Holders in one answer; a fetcher asks again when it runs dry.


def _check_what(what: str) -> None:
    if not manifest.is_id(what):
        names.check_name(what)


# To the tracker.


class Query(Message, frozen=True, tag="query"):
    """Who holds `what`?

    `node` is an asker that wants it: a holder that asks has lost it, unless `partial` says that it
    is fetching it just now, or may have it. Without a `node` nothing follows from the question.
    If `what` is a name, only versions whose id begins with `prefix` are meant. With `after`, all
    holders are named, in pages ordered by node: those after that one.
    """

    what: fields.What
    node: fields.Node | None = None
    partial: bool = False
    prefix: fields.Prefix = ""
    after: Annotated[str, Meta(max_length=64)] | None = None
    token: fields.Token = ""

    def __post_init__(self) -> None:
        _check_what(self.what)


class Holding(msgspec.Struct, frozen=True, gc=False):
    """That a node has a thing under a name, whole or in part.

    `version` and `publisher` are what the node was told of it. With `claims` it has not been told
    yet: it claims to be the publisher, and this to be the number.
    """

    name: fields.What
    id: fields.Id
    size_bytes: fields.Size
    complete: bool = True
    version: fields.Number = 0
    publisher: fields.Node | None = None
    claims: bool = False

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Withdrawal(msgspec.Struct, frozen=True, gc=False):
    """That a node no longer has a thing under a name."""

    name: fields.What
    id: fields.Id


class Update(Message, frozen=True, tag="update"):
    """The sender holds these things; with `replace`, only these.

    `epoch` counts the node's starts, `sequence` its updates since: an older one changes nothing.
    """

    node: fields.Node
    address: fields.Address
    epoch: fields.Count
    sequence: fields.Count
    holdings: Annotated[tuple[Holding, ...], Meta(max_length=MAX_UPDATE_HOLDINGS)] = ()
    withdrawn: Annotated[tuple[Withdrawal, ...], Meta(max_length=MAX_UPDATE_HOLDINGS)] = ()
    replace: bool = False
    token: fields.Token = ""  # As the tracker gave it to the node.

    def __post_init__(self) -> None:
        addresses.split(self.address)


class Renew(Message, frozen=True, tag="renew"):
    """The sender is alive, and still holds the `holdings` things that it announced."""

    node: fields.Node
    epoch: fields.Count
    holdings: fields.Count
    sequence: fields.Count = 0  # Of its last update; 0: not told.
    token: fields.Token = ""
    doing: Doing | None = None
    wants: fields.Count = 0  # What it could send, of a budget, in bytes/s; 0: it sends nothing now.


class Leave(Message, frozen=True, tag="leave"):
    """The sender stops serving. Its holdings are remembered, but not handed out."""

    node: fields.Node
    epoch: fields.Count
    token: fields.Token = ""


class List(Message, frozen=True, tag="list"):
    """Which names are there? Answered in pages, ordered by name: those after `after`."""

    after: Annotated[str, Meta(max_length=names.MAX_NAME_BYTES)] = ""


class Status(Message, frozen=True, tag="status"):
    """Which nodes are there, and how long has the tracker been up? In pages, ordered by node."""

    after: Annotated[str, Meta(max_length=64)] = ""


# From the tracker.


class Holder(msgspec.Struct, frozen=True):
    """A node that has a thing. `alive`: it has renewed its lease in time."""

    node: fields.Node
    address: fields.Address
    complete: bool
    alive: bool


class OtherVersion(msgspec.Struct, frozen=True):
    """Another version under the same name. `age_s` counts from its first announcement.

    `holders` does not count the asker.
    """

    id: fields.Id
    size_bytes: fields.Size
    age_s: fields.Count
    holders: fields.Count
    version: fields.Number = 0
    publisher: fields.Node | None = None


class Holders(Message, frozen=True, tag="holders"):
    """The answer to a query. `holders` are to be asked; those in `offline` are silent.

    `id` is none when the cluster file alone says so: no holder has spoken yet. `listed`: the asker
    is a holder of it too, by its own word or the cluster file's.
    """

    name: fields.What
    id: fields.Id | None
    size_bytes: fields.Size | None
    holders: tuple[Holder, ...]
    offline: tuple[Holder, ...] = ()
    versions: tuple[OtherVersion, ...] = ()
    version: fields.Number = 0
    publisher: fields.Node | None = None
    listed: bool = False
    next: str | None = None  # Of a page: ask again with `after` set to this.

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Told(msgspec.Struct, frozen=True, gc=False):
    """Which version a holding of an update is, if the update did not say so itself.

    If it is not `taken`, the sender is not listed for it: it claimed to publish content under a
    name that has other content, published as `version` by `publisher`. If it is not `allowed`
    either, the cluster file says who may publish under that name, and the sender may not.
    """

    name: fields.What
    id: fields.Id
    version: fields.Number
    publisher: fields.Node | None
    taken: bool = True
    allowed: bool = True

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Ok(Message, frozen=True, tag="ok"):
    """Done. The lease lasts `lease_ms`; the tracker knows of `holdings` things of the sender."""

    lease_ms: fields.Count
    holdings: fields.Count
    told: Annotated[tuple[Told, ...], Meta(max_length=MAX_UPDATE_HOLDINGS)] = ()
    token: fields.Token = ""  # If not empty: to be kept, and shown from now on.
    wishes: fields.Count = 0  # Changes with what nodes shall hold; 0: nothing.
    lent: fields.Count | None = None  # What the sender may send, in bytes/s; None: no budget.


class File(msgspec.Struct, frozen=True):
    """One version of one name, for a listing."""

    name: fields.What
    id: fields.Id | None
    size_bytes: fields.Size | None
    age_s: fields.Count
    newest: bool
    holders: tuple[Holder, ...]
    version: fields.Number = 0
    publisher: fields.Node | None = None

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Files(Message, frozen=True, tag="files"):
    """One page of a listing; ask again with `after` set to `next` until that is None."""

    files: tuple[File, ...]
    next: str | None = None


class NodeStatus(msgspec.Struct, frozen=True):
    """What the tracker knows of a node. `silent_ms`: None if not since the start; `spoke`: ever."""

    node: fields.Node
    address: fields.Address
    alive: bool
    files: fields.Count
    silent_ms: fields.Count | None
    spoke: bool = False
    doing: Doing | None = None


class TrackerStatus(Message, frozen=True, tag="tracker"):
    """The answer to a status request."""

    address: fields.Address
    uptime_ms: fields.Count
    nodes: tuple[NodeStatus, ...]
    next: str | None = None
    counters: dict[str, int] = msgspec.field(default_factory=dict)
    trouble: str = ""  # Why what it knows is not saved or not shared, in words.


# To a node.


class ManifestRequest(Message, frozen=True, tag="manifest"):
    """Asks for the manifest of `what`. The reply's second frame is its canonical bytes.

    With `may_wait`, a holder that many ask may answer BUSY: others will have the manifest soon.
    """

    what: fields.What
    may_wait: bool = False

    def __post_init__(self) -> None:
        _check_what(self.what)


class ChunkRequest(Message, frozen=True, tag="chunk"):
    """Asks for chunk `index`; `offered` is (`index`,), as version 1 has it.

    `have` is what the asker has, or empty. After `patience_ms` the asker no longer waits.
    """

    id: fields.Id
    index: fields.Index
    node: fields.Node
    have: fields.Have = b""
    patience_ms: fields.Count = 30_000
    offered: fields.Offered = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "offered", (self.index,))


class WrongChunk(Message, frozen=True, tag="wrong"):
    """The holder sent `node` wrong bytes as chunk `index`, and may want to check them."""

    id: fields.Id
    index: fields.Index
    node: fields.Node


class StateRequest(Message, frozen=True, tag="state"):
    """How much of the thing `name` do you have, of the version `id` if one is given?"""

    name: fields.What
    id: fields.Id | None = None


# From a node.


class State(Message, frozen=True, tag="state"):
    """The state of one thing in a node's folder. `have_bytes` are there, or already hashed."""

    state: fields.Text  # whole, part, hashing, changed, other or none.
    have_bytes: fields.Size = 0
    size_bytes: fields.Size = 0
    chunk_count: fields.Count = 0  # Of a part, as is `have`.
    have: fields.Have = b""


class ManifestReply(Message, frozen=True, tag="manifest"):
    """The manifest follows in the next frame."""

    id: fields.Id
    name: fields.What


class ChunkReply(Message, frozen=True, tag="chunk"):
    """The bytes of chunk `index` follow in the next frame. Empty `have`: the holder has all.

    `askers` is how many nodes the holder has served this thing to of late; 0 says nothing.
    """

    index: fields.Index
    have: fields.Have = b""
    askers: fields.Count = 0


class Nothing(Message, frozen=True, tag="nothing"):
    """The holder does not send that chunk now; `have` is what it would send."""

    have: fields.Have


class Noted(Message, frozen=True, tag="noted"):
    """The holder will check the chunk."""


class Error(Message, frozen=True, tag="error"):
    """The request failed; `message` is for people."""

    code: WireCode
    message: fields.Text


TrackerRequest = Query | Update | Renew | Leave | List | Status | pushing.ToTracker
TrackerReply = Holders | Ok | Files | TrackerStatus | Error | pushing.FromTracker
NodeRequest = ManifestRequest | ChunkRequest | WrongChunk | StateRequest
NodeReply = ManifestReply | ChunkReply | Nothing | Noted | State | Error

_ENCODER = msgspec.msgpack.Encoder()
_LARGEST_FIXMAP = 0x8F  # The first byte of a msgpack map of 15 keys.
_VERSION_ITEM = codec.pack("v") + codec.pack(VERSION)


def encode(message: Message) -> bytes:
    """Return the bytes of one message."""
    data = _ENCODER.encode(message)
    if data[0] < _LARGEST_FIXMAP:  # One key more changes its first byte.
        return b"%c%b%b" % (data[0] + 1, _VERSION_ITEM, data[1:])
    return codec.pack({"v": VERSION, **msgspec.to_builtins(message, builtin_types=(bytes,))})


def decode(data: bytes, expected: Any, max_bytes: int = MAX_REPLY_BYTES) -> Any:
    """Return the message that `data` holds, one of the types in the union `expected`.

    Raises:
        UnsupportedMessageError: it has a type or version that is unknown here.
        MalformedMessageError: it is no message, or breaks a limit.
    """
    is_short = len(data) <= min(max_bytes, codec.OWN_BYTES)
    if is_short and (message := codec.as_written(data, expected, encode)) is not None:
        return message
    plain = codec.unpack_plain(data, max_bytes, MAX_ITEMS)
    if not isinstance(plain, dict):
        raise MalformedMessageError("a message is a map")
    version, kind = plain.get("v"), plain.get("type")
    if type(version) is not int or type(kind) is not str:
        raise MalformedMessageError("a message has the keys v (a number) and type (a text)")
    if not OLDEST_VERSION <= version <= VERSION or kind not in _types_of(expected):
        raise UnsupportedMessageError(f"type {kind[:40]!r} of version {version} is unknown here")
    return codec.convert(plain if version == VERSION else _upgraded(plain), expected)


def _upgraded(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a message of version 1 as version 2 has it: it asks for the first chunk offered."""
    offered = plain.get("offered")
    return plain | {"index": offered[0]} if isinstance(offered, list) and offered else plain


@functools.cache
def _types_of(expected: Any) -> frozenset[str]:
    return frozenset(option.__struct_config__.tag for option in get_args(expected) or (expected,))

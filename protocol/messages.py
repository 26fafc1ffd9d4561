"""Every message, as types. docs/build/protocol.md explains them; the codec has the bytes.

A message is a msgpack map with `v` (the protocol's version) and `type`. Unknown keys are ignored,
so a newer peer may say more; missing or invalid ones are refused.
"""

import functools
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta
from shoal.protocol import addresses, codec, manifest, names
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode

VERSION = 2
OLDEST_VERSION = 1  # Its chunk requests offered several chunks; the rest is the same.
MAX_REQUEST_BYTES = 256 << 10  # To the tracker. 256 KiB of empty maps unpack to under 20 MiB.
MAX_CHUNK_REQUEST_BYTES = 64 << 10  # To a node: a bitmap of 32,768 chunks and room.
MAX_REPLY_BYTES = 4 << 20
MAX_ITEMS = 4096  # In one array or map: 1024 nested ones cost 32 MiB for a moment.
MAX_UPDATE_HOLDINGS = 500  # 500 names of 240 bytes still fit in MAX_REQUEST_BYTES.
MAX_TEXT_CHARACTERS = 4096  # Of a sentence for people.
MAX_NUMBER = 2**53  # Of a version; what every language's numbers can hold.
MAX_HANDOUT = 50  # Holders in one answer; a fetcher asks again when it runs dry.

Node = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
Address = Annotated[str, Meta(pattern=addresses.PATTERN, max_length=300)]
Id = Annotated[str, Meta(pattern=r"^b3:[0-9a-f]{64}\Z")]
What = Annotated[str, Meta(min_length=1, max_length=names.MAX_NAME_BYTES)]  # A name or an id.
Count = Annotated[int, Meta(ge=0, le=2**53)]
Size = Annotated[int, Meta(ge=0, le=2**53)]
Index = Annotated[int, Meta(ge=0, lt=manifest.MAX_CHUNKS)]
Have = Annotated[bytes, Meta(max_length=manifest.MAX_CHUNKS // 8)]  # protocol.bitmap's bytes.
Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]  # Of a published version; 0: none told.
Prefix = Annotated[str, Meta(pattern=r"^[0-9a-f]{0,64}\Z")]  # Of an id, without its "b3:".
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARACTERS)]


class Message(msgspec.Struct, frozen=True, tag_field="type"):
    """Any message. On the wire each also carries `v`."""


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

    what: What
    node: Node | None = None
    partial: bool = False
    prefix: Prefix = ""
    after: Annotated[str, Meta(max_length=64)] | None = None

    def __post_init__(self) -> None:
        _check_what(self.what)


class Holding(msgspec.Struct, frozen=True, gc=False):
    """That a node has a thing under a name, whole or in part.

    `version` and `publisher` are what the node was told of it. With `claims` it has not been told
    yet: it claims to be the publisher, and this to be the number.
    """

    name: What
    id: Id
    size_bytes: Size
    complete: bool = True
    version: Number = 0
    publisher: Node | None = None
    claims: bool = False

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Withdrawal(msgspec.Struct, frozen=True, gc=False):
    """That a node no longer has a thing under a name."""

    name: What
    id: Id


class Update(Message, frozen=True, tag="update"):
    """The sender holds these things; with `replace`, only these.

    `epoch` counts the node's starts, `sequence` its updates since: an older one changes nothing.
    """

    node: Node
    address: Address
    epoch: Count
    sequence: Count
    holdings: Annotated[tuple[Holding, ...], Meta(max_length=MAX_UPDATE_HOLDINGS)] = ()
    withdrawn: Annotated[tuple[Withdrawal, ...], Meta(max_length=MAX_UPDATE_HOLDINGS)] = ()
    replace: bool = False

    def __post_init__(self) -> None:
        addresses.split(self.address)


class Renew(Message, frozen=True, tag="renew"):
    """The sender is alive, and still holds the `holdings` things that it announced."""

    node: Node
    epoch: Count
    holdings: Count


class Leave(Message, frozen=True, tag="leave"):
    """The sender stops serving. Its holdings are remembered, but not handed out."""

    node: Node
    epoch: Count


class List(Message, frozen=True, tag="list"):
    """Which names are there? Answered in pages, ordered by name: those after `after`."""

    after: Annotated[str, Meta(max_length=names.MAX_NAME_BYTES)] = ""


class Status(Message, frozen=True, tag="status"):
    """Which nodes are there, and how long has the tracker been up? In pages, ordered by node."""

    after: Annotated[str, Meta(max_length=64)] = ""


# From the tracker.


class Holder(msgspec.Struct, frozen=True):
    """A node that has a thing. `alive`: it has renewed its lease in time."""

    node: Node
    address: Address
    complete: bool
    alive: bool


class OtherVersion(msgspec.Struct, frozen=True):
    """Another version under the same name. `age_s` counts from its first announcement.

    `holders` does not count the asker.
    """

    id: Id
    size_bytes: Size
    age_s: Count
    holders: Count
    version: Number = 0
    publisher: Node | None = None


class Holders(Message, frozen=True, tag="holders"):
    """The answer to a query. `holders` are to be asked; those in `offline` are silent.

    `id` is none when the cluster file alone says so: no holder has spoken yet. `listed`: the asker
    is a holder of it too, by its own word or the cluster file's.
    """

    name: What
    id: Id | None
    size_bytes: Size | None
    holders: tuple[Holder, ...]
    offline: tuple[Holder, ...] = ()
    versions: tuple[OtherVersion, ...] = ()
    version: Number = 0
    publisher: Node | None = None
    listed: bool = False
    next: str | None = None  # Of a page: ask again with `after` set to this.

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Told(msgspec.Struct, frozen=True, gc=False):
    """Which version a holding of an update is, if the update did not say so itself.

    If it is not `taken`, the sender is not listed for it: it claimed to publish content under a
    name that has other content, published as `version` by `publisher`.
    """

    name: What
    id: Id
    version: Number
    publisher: Node | None
    taken: bool = True

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Ok(Message, frozen=True, tag="ok"):
    """Done. The lease lasts `lease_ms`; the tracker knows of `holdings` things of the sender."""

    lease_ms: Count
    holdings: Count
    told: Annotated[tuple[Told, ...], Meta(max_length=MAX_UPDATE_HOLDINGS)] = ()


class File(msgspec.Struct, frozen=True):
    """One version of one name, for a listing."""

    name: What
    id: Id | None
    size_bytes: Size | None
    age_s: Count
    newest: bool
    holders: tuple[Holder, ...]
    version: Number = 0
    publisher: Node | None = None

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Files(Message, frozen=True, tag="files"):
    """One page of a listing; ask again with `after` set to `next` until that is None."""

    files: tuple[File, ...]
    next: str | None = None


class NodeStatus(msgspec.Struct, frozen=True):
    """What the tracker knows of a node. `silent_ms`: None if not since the start; `spoke`: ever."""

    node: Node
    address: Address
    alive: bool
    files: Count
    silent_ms: Count | None
    spoke: bool = False


class TrackerStatus(Message, frozen=True, tag="tracker"):
    """The answer to a status request."""

    address: Address
    uptime_ms: Count
    nodes: tuple[NodeStatus, ...]
    next: str | None = None
    counters: dict[str, int] = {}


# To a node.


class ManifestRequest(Message, frozen=True, tag="manifest"):
    """Asks for the manifest of `what`. The reply's second frame is its canonical bytes.

    With `may_wait`, a holder that many ask may answer BUSY: others will have the manifest soon.
    """

    what: What
    may_wait: bool = False

    def __post_init__(self) -> None:
        _check_what(self.what)


class ChunkRequest(Message, frozen=True, tag="chunk"):
    """Asks for chunk `index`.

    `have` is what the asker has; empty bytes say nothing about it. After `patience_ms` the asker
    no longer waits.
    """

    id: Id
    index: Index
    node: Node
    have: Have = b""
    patience_ms: Count = 30_000


class WrongChunk(Message, frozen=True, tag="wrong"):
    """The holder sent `node` wrong bytes as chunk `index`, and may want to check them."""

    id: Id
    index: Index
    node: Node


class StateRequest(Message, frozen=True, tag="state"):
    """How much of the thing `name` do you have, of the version `id` if one is given?"""

    name: What
    id: Id | None = None


# From a node.


class State(Message, frozen=True, tag="state"):
    """The state of one thing in a node's folder. `have_bytes` are there, or already hashed."""

    state: Text  # whole, part, hashing, changed, other or none.
    have_bytes: Size = 0
    size_bytes: Size = 0


class ManifestReply(Message, frozen=True, tag="manifest"):
    """The manifest follows in the next frame."""

    id: Id
    name: What


class ChunkReply(Message, frozen=True, tag="chunk"):
    """The bytes of chunk `index` follow in the next frame. Empty `have`: the holder has all.

    `askers` is how many nodes the holder has served this thing to of late; 0 says nothing.
    """

    index: Index
    have: Have = b""
    askers: Count = 0


class Nothing(Message, frozen=True, tag="nothing"):
    """The holder does not send that chunk now; `have` is what it would send."""

    have: Have


class Noted(Message, frozen=True, tag="noted"):
    """The holder will check the chunk."""


class Error(Message, frozen=True, tag="error"):
    """The request failed; `message` is for people."""

    code: WireCode
    message: Text


TrackerRequest = Query | Update | Renew | Leave | List | Status
TrackerReply = Holders | Ok | Files | TrackerStatus | Error
NodeRequest = ManifestRequest | ChunkRequest | WrongChunk | StateRequest
NodeReply = ManifestReply | ChunkReply | Nothing | Noted | State | Error

T = TypeVar("T", bound=Message)

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

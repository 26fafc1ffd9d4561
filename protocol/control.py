"""What a command and the node that owns a folder say to each other over a local socket."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from shoal.protocol.fields import Count, Id, Node, Number, Rate, Size, Text, What
from shoal.protocol.message import Message

MAX_PATTERNS = 100
MAX_PATTERN_CHARACTERS = 1000

Pattern = Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]
Patterns = Annotated[tuple[Pattern, ...], Meta(max_length=MAX_PATTERNS)]
Chunking = Literal["fixed", "content"]

MAX_READ_BYTES = 4 << 20  # Sent at a time: a few milliseconds of the control socket.
MAX_PATH_BYTES = 4096  # PATH_MAX on Linux.
Reader = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]  # A random name of one open file.

MAX_LEFT_OUT = 100  # Named in a report; the others are counted.


class FetchOrder(Message, frozen=True, tag="fetch"):
    """Fetch `what`. Answered by Working repeatedly, then by Fetched or Failed."""

    what: What  # A name, an id, NAME@ID or a path in a tree.
    output: Text | None = None
    force: bool = False
    include: Patterns = ()  # Which files of a tree; none: all of them.
    exclude: Patterns = ()
    in_place: bool = False  # The files of a tree appear one by one, not all at the end.
    offline: bool = False  # Use what is here; ask nobody.
    limit: Rate | None = None  # What this fetch may receive at most, in bytes/s.
    linked: bool = False  # What is put there is served from there.
    on_demand: bool = False  # Only what is read here meanwhile, until another order wants all.


class ShareOrder(Message, frozen=True, tag="share"):
    """Share the thing of that name, which is in the folder.

    Answered by Working repeatedly, then by Sharing or Failed.
    """

    name: What
    include: Patterns = ()
    exclude: Patterns = ()
    chunking: Chunking | None = None  # None: as before.
    force: bool = False  # Publish it, whatever is published under that name.
    follow_links: bool = False  # In a directory, share what its links lead to.
    linked: bool = False  # It is a link of the user's to where it lies.


class ForgetOrder(Message, frozen=True, tag="forget"):
    """Stop sharing it. Answered by Forgotten or Failed."""

    what: What
    delete: bool = False


class VerifyOrder(Message, frozen=True, tag="verify"):
    """Hash one thing again, or all if `what` is None, and heal those that are corrupt.

    Of all things, those that sort after the name `after`, up to a number. Answered by Working
    repeatedly, then by Verified or Failed.
    """

    what: What | None = None
    after: Text = ""


class DiscardOrder(Message, frozen=True, tag="discard"):
    """Remove the remains of interrupted fetches of `what`. Answered by Discarded or Failed."""

    what: What


class OpenOrder(Message, frozen=True, tag="open"):
    """Have one version of something read, and fetch it meanwhile unless it is here.

    Answered by Working repeatedly, then by Opened or Failed.
    """

    what: What  # As in FetchOrder; a file, in the end.
    reader: Reader


class ReadOrder(Message, frozen=True, tag="read"):
    """Read a part of what was opened, as soon as it is here.

    It says all that there is to know: the node may have been started again since the opening.
    Answered by Working repeatedly, then by There, Bytes or Failed.
    """

    what: What  # An id or NAME@ID: one version, whatever comes after it.
    inside: Text  # The path of the file in the tree; empty: the thing is the file.
    reader: Reader
    offset: Size
    size_bytes: Annotated[int, Meta(ge=1, le=2**53)]  # So many are about to be read, from there on.
    pointed: bool = True  # There is enough of an answer; otherwise Bytes, MAX_READ_BYTES at most.


class CloseOrder(Message, frozen=True, tag="close"):
    """Read no more. Answered by Closed."""

    what: What
    reader: Reader


class Cancel(Message, frozen=True, tag="cancel"):
    """Stop the order with the same tag: its time is up, or the user interrupted it."""

    timed_out: bool = False


class Working(Message, frozen=True, tag="working"):
    """How far the order is."""

    name: What
    have_bytes: Size
    size_bytes: Size | None
    holders: Count | None  # None: no holders are involved.


class Fetched(Message, frozen=True, tag="fetched"):
    """The thing was fetched. The fields are those of `fetch --json`."""

    name: What
    id: Id
    size_bytes: Size
    elapsed_s: float
    fetched_bytes: Size
    reused_bytes: Size
    holders: dict[str, int]
    path: Text
    duplicate_bytes: Size = 0
    wrong_chunks: Count = 0
    lost_holders: Count = 0
    retries: Count = 0
    bound_s: float | None = None  # The least time at the best rate seen, …
    ratio: float | None = None  # … and that as a share of elapsed_s; None if unknown.
    bound_by: Text = "unknown"
    bound_reason: Text = ""
    version: Number = 0  # 0: unknown.
    publisher: Node | None = None
    other_versions: Count = 0  # Of the same name, that some node holds.
    superseded: tuple[
        Id, ...
    ] = ()  # Versions that the fetch began with, and that no node has any more.
    offline: bool = False  # The tracker was not asked for a newer version.


class Omission(msgspec.Struct, frozen=True):
    """Something in a directory that is not shared with it."""

    path: What  # In the directory. Bytes that are not valid UTF-8 are escaped.
    reason: Text


class Sharing(Message, frozen=True, tag="sharing"):
    """It was hashed, and announced if the tracker could be reached."""

    name: What
    id: Id
    size_bytes: Size
    announced: bool
    version: Number = 0
    publisher: Node | None = None
    left_out: Annotated[tuple[Omission, ...], Meta(max_length=MAX_LEFT_OUT)] = ()
    left_out_count: Count = 0  # Named or not.


class Forgotten(Message, frozen=True, tag="forgotten"):
    """It is no longer shared; `deleted`: nor on the disk."""

    name: What
    id: Id | None  # None: it was not shared, so it has none.
    deleted: bool


class Discarded(Message, frozen=True, tag="discarded"):
    """The remains were removed."""

    what: What
    count: Count  # Of interrupted fetches.
    freed_bytes: Size


class Examined(msgspec.Struct, frozen=True):
    """One thing that was verified."""

    name: What
    id: Id
    chunks: Count
    damaged: Count  # How many of the chunks are.
    healed: bool = False  # The right bytes were fetched from other nodes, …
    fetched_bytes: Size = 0  # … this many.
    trouble: Text = ""  # Why it was not healed.
    changed: bool = False  # A copy that was changed: `damaged` counts the chunks that differ.


class Verified(Message, frozen=True, tag="verified"):
    """The things that were verified; if there are more, they come after the name `next`."""

    things: tuple[Examined, ...]
    next: What | None = None


class Opened(Message, frozen=True, tag="opened"):
    """One version is meant, and its file has so many bytes."""

    what: What  # For ReadOrder, as are …
    inside: Text  # … this …
    id: Id
    size_bytes: Size


class Bytes(Message, frozen=True, tag="bytes"):
    """Verified bytes: as many as were asked for, or fewer, but at least one before the end.

    On the socket they are a frame of their own, behind the message.
    """

    data: bytes = b""


class There(Message, frozen=True, tag="there"):
    """Verified bytes are in a file of this machine: `size_bytes` of them at `offset` in `path`.

    While the file's status is `status` (its size, mtime and ctime in ns, and its inode) they stay
    right. Without that the file is still being written elsewhere: they are right for a second.
    """

    path: Annotated[bytes, Meta(max_length=MAX_PATH_BYTES)]
    offset: Size
    size_bytes: Size
    status: tuple[int, int, int, int] | None


class Closed(Message, frozen=True, tag="closed"):
    """The reader is forgotten; if it was the last one, a fetch that was for it stops."""

    what: What


class Failed(Message, frozen=True, tag="failed"):
    """The order failed."""

    kind: Annotated[str, Meta(max_length=64)]  # Of protocol.errors.KINDS.
    message: Text


Reading = OpenOrder | ReadOrder | CloseOrder
Task = FetchOrder | ShareOrder | ForgetOrder | VerifyOrder | DiscardOrder | Reading
Order = Task | Cancel
Told = Opened | Bytes | There | Closed
Report = Working | Fetched | Sharing | Forgotten | Verified | Discarded | Told | Failed

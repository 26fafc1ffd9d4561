"""What a command says to the node that owns a folder, over a local socket, and what it answers."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from shoal.protocol.messages import Count, Id, Message, Node, Number, Size, Text, What

MAX_PATTERNS = 100
MAX_PATTERN_CHARACTERS = 1000

Pattern = Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN_CHARACTERS)]
Patterns = Annotated[tuple[Pattern, ...], Meta(max_length=MAX_PATTERNS)]
Chunking = Literal["fixed", "content"]

MAX_LEFT_OUT = 100  # Named in a report; the rest is counted.


class FetchOrder(Message, frozen=True, tag="fetch"):
    """Fetch `what`; answered by Working again and again, then by Fetched or Failed."""

    what: What  # A name, an id, NAME@ID or a path in a tree.
    output: Text | None = None
    force: bool = False
    include: Patterns = ()  # What of a tree; none: all of it.
    exclude: Patterns = ()
    in_place: bool = False  # The files of a tree appear one by one.
    offline: bool = False  # Take what is here, and ask nobody.


class ShareOrder(Message, frozen=True, tag="share"):
    """The thing of that name was put into the folder: announce it.

    Answered by Working again and again, then by Sharing or Failed.
    """

    name: What
    include: Patterns = ()
    exclude: Patterns = ()
    chunking: Chunking | None = None  # none: as before.
    force: bool = False  # Publish it, whatever is published under that name.
    follow_links: bool = False  # In a directory, share what they lead to.


class ForgetOrder(Message, frozen=True, tag="forget"):
    """Share it no longer. Answered by Forgotten or Failed."""

    what: What
    delete: bool = False


class VerifyOrder(Message, frozen=True, tag="verify"):
    """Hash again what is held, all of it if `what` is none; heal what has rotted.

    Of all, some of what sorts `after` a name. Answered by Working again and again, then by Verified
    or Failed.
    """

    what: What | None = None
    after: Text = ""


class DiscardOrder(Message, frozen=True, tag="discard"):
    """Remove what interrupted fetches of `what` have left. Answered by Discarded or Failed."""

    what: What


class Cancel(Message, frozen=True, tag="cancel"):
    """Stop what the order with the same tag began: its time is up, or somebody said so."""

    timed_out: bool = False


class Working(Message, frozen=True, tag="working"):
    """How far it is."""

    name: What
    have_bytes: Size
    size_bytes: Size | None
    holders: Count | None  # none: it is not about holders.


class Fetched(Message, frozen=True, tag="fetched"):
    """It is there. The fields are those of `fetch --json`."""

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
    ratio: float | None = None  # … and that as a share of elapsed_s; none where it is not known.
    bound_by: Text = "unknown"
    bound_reason: Text = ""
    version: Number = 0  # 0: none is known.
    publisher: Node | None = None
    other_versions: Count = 0  # Of the same name, that somebody holds.
    superseded: tuple[Id, ...] = ()  # Versions that it began with, and that nobody has any more.
    offline: bool = False  # Nobody was asked whether there is a newer version.


class Omission(msgspec.Struct, frozen=True):
    """Something in a directory that is not shared with it."""

    path: What  # In the directory. What is not valid UTF-8 is escaped.
    reason: Text


class Sharing(Message, frozen=True, tag="sharing"):
    """It is hashed, and announced if the tracker could be reached."""

    name: What
    id: Id
    size_bytes: Size
    announced: bool
    version: Number = 0
    publisher: Node | None = None
    left_out: Annotated[tuple[Omission, ...], Meta(max_length=MAX_LEFT_OUT)] = ()
    left_out_count: Count = 0  # Named or not.


class Forgotten(Message, frozen=True, tag="forgotten"):
    """It is no longer shared; `deleted` says whether its bytes are gone too."""

    name: What
    id: Id | None  # none: it was not shared, so it has none.
    deleted: bool


class Discarded(Message, frozen=True, tag="discarded"):
    """What was left is gone."""

    what: What
    count: Count  # Of interrupted fetches.
    freed_bytes: Size


class Examined(msgspec.Struct, frozen=True):
    """One thing that was verified."""

    name: What
    id: Id
    chunks: Count
    damaged: Count  # Of the chunks.
    healed: bool = False  # The right bytes were fetched from others: so many.
    fetched_bytes: Size = 0
    trouble: Text = ""  # Why they were not.
    changed: bool = False  # It is a copy that was changed; `damaged` are the chunks that differ.


class Verified(Message, frozen=True, tag="verified"):
    """What was verified; if there is more, it comes after the name `next`."""

    things: tuple[Examined, ...]
    next: What | None = None


class Failed(Message, frozen=True, tag="failed"):
    """It could not be done."""

    kind: Annotated[str, Meta(max_length=64)]  # Of protocol.errors.KINDS.
    message: Text


Task = FetchOrder | ShareOrder | ForgetOrder | VerifyOrder | DiscardOrder
Order = Task | Cancel
Report = Working | Fetched | Sharing | Forgotten | Verified | Discarded | Failed

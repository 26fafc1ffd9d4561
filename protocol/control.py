"""What a command says to the node that owns a folder, over a local socket, and what it answers."""

from typing import Annotated

from msgspec import Meta

from protocol.messages import Count, Id, Message, Size, Text, What


class FetchOrder(Message, frozen=True, tag="fetch"):
    """Fetch `what`; answered by Working again and again, then by Fetched or Failed."""

    what: What
    output: Text | None = None
    force: bool = False


class ShareOrder(Message, frozen=True, tag="share"):
    """The file of that name was put into the folder: announce it. Answered by Sharing or Failed."""

    name: What


class Cancel(Message, frozen=True, tag="cancel"):
    """Stop what the order with the same tag began: its time is up, or somebody said so."""

    timed_out: bool = False


class Working(Message, frozen=True, tag="working"):
    """How far it is."""

    name: What
    have_bytes: Size
    size_bytes: Size | None
    holders: Count


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


class Sharing(Message, frozen=True, tag="sharing"):
    """It is hashed, and announced if the tracker could be reached."""

    name: What
    id: Id
    size_bytes: Size
    announced: bool


class Failed(Message, frozen=True, tag="failed"):
    """It could not be done."""

    exit_code: Annotated[int, Meta(ge=1, le=255)]
    message: Text


Order = FetchOrder | ShareOrder | Cancel
Report = Working | Fetched | Sharing | Failed

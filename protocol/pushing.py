"""Messages about pushes: what nodes shall hold, and what has become of it; and an admin's leave.

A push pins the content. Nodes fetch what is wished of them by themselves; what they are doing
travels with their renewals. docs/build/protocol.md explains each message.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from shoal.protocol import names
from shoal.protocol.fields import Count, Id, Node, Number, Size, What
from shoal.protocol.message import Message

MAX_NAMED = 3000  # Nodes that one push names: with 64 characters each they fit in a request.
MAX_ZONES = 100
MAX_PAGE = 500
MAX_AT_A_TIME = 4  # Transfers and failures that a renewal tells of; the most important ones.
MAX_REASON_CHARACTERS = 200

Zone = Annotated[str, Meta(min_length=1, max_length=64)]
Version = Annotated[str, Meta(max_length=40)]  # Of shoal.
Reason = Annotated[str, Meta(max_length=MAX_REASON_CHARACTERS)]
State = Literal["waiting", "offline", "hashing", "fetching", "done", "failed"]


class Target(msgspec.Struct, frozen=True):
    """Which nodes of the cluster file; all of them, also those that join it, if it names none."""

    nodes: Annotated[tuple[Node, ...], Meta(max_length=MAX_NAMED)] = ()
    zones: Annotated[tuple[Zone, ...], Meta(max_length=MAX_ZONES)] = ()


# To the tracker.


class Push(Message, frozen=True, tag="push"):
    """Those nodes shall hold this content under this name, instead of any pushed before."""

    name: What
    id: Id
    size_bytes: Size
    to: Target = Target()

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Unpush(Message, frozen=True, tag="unpush"):
    """Nobody shall fetch what was pushed under this name any more. What is there stays."""

    name: What

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Pushes(Message, frozen=True, tag="pushes"):
    """Which pushes are there? Answered in pages, ordered by name: those after `after`."""

    after: Annotated[str, Meta(max_length=names.MAX_NAME_BYTES)] = ""


class Wishes(Message, frozen=True, tag="wishes"):
    """What shall `node` hold? Answered in pages, ordered by name."""

    node: Node
    after: Annotated[str, Meta(max_length=names.MAX_NAME_BYTES)] = ""


class Verdicts(Message, frozen=True, tag="verdicts"):
    """How far is each node with a thing? Answered in pages, ordered by node: those after `after`.

    Without an `id` the push of `name` is meant; else that content, and the nodes in `to`.
    """

    name: What
    id: Id | None = None
    to: Target = Target()
    after: Annotated[str, Meta(max_length=64)] = ""

    def __post_init__(self) -> None:
        names.check_name(self.name)


class Allow(Message, frozen=True, tag="allow"):
    """An admin lets `node` publish the next version of `name`, once and within a day."""

    name: What
    node: Node

    def __post_init__(self) -> None:
        names.check_name(self.name)


# What a node is doing, in its renewals.


class Transfer(msgspec.Struct, frozen=True):
    """How far something is that is fetched or hashed. `rate` is in bytes/s."""

    name: What
    id: Id | None = None  # None while it is hashed.
    have_bytes: Size = 0
    size_bytes: Size = 0
    rate: Count = 0
    holders: Count = 0


class Failure(msgspec.Struct, frozen=True):
    """Why the last try of something failed, and in how many seconds it is tried again."""

    name: What
    id: Id
    reason: Reason
    retry_s: Count = 0


class Doing(msgspec.Struct, frozen=True):
    """What a node is doing. `version` is shoal's; rates are in bytes/s.

    `link_rate` is what the node's network card reports; 0 if that is unknown.
    """

    version: Version = ""
    free_bytes: Size = 0
    obeys: bool = True  # Fetches what is pushed.
    sent_rate: Count = 0
    fetching: Annotated[tuple[Transfer, ...], Meta(max_length=MAX_AT_A_TIME)] = ()
    hashing: Annotated[tuple[Transfer, ...], Meta(max_length=MAX_AT_A_TIME)] = ()
    failed: Annotated[tuple[Failure, ...], Meta(max_length=MAX_AT_A_TIME)] = ()
    link_rate: Count = 0


# From the tracker.


class Pushed(msgspec.Struct, frozen=True):
    """One push: how many nodes are meant, and how many of them have all of it."""

    name: What
    id: Id
    size_bytes: Size
    to: Target = Target()
    age_s: Count = 0
    wanted: Count = 0
    have: Count = 0
    version: Number = 0
    publisher: Node | None = None


class PushList(Message, frozen=True, tag="pushes"):
    """One page of the pushes; ask again with `after` set to `next` until that is None."""

    pushes: Annotated[tuple[Pushed, ...], Meta(max_length=MAX_PAGE)] = ()
    next: str | None = None


class Wish(msgspec.Struct, frozen=True):
    """Content that a node shall hold under a name."""

    name: What
    id: Id
    size_bytes: Size

    def __post_init__(self) -> None:
        names.check_name(self.name)


class WishList(Message, frozen=True, tag="wishes"):
    """One page of what a node shall hold. `revision` changes whenever that may have changed."""

    revision: Count
    wishes: Annotated[tuple[Wish, ...], Meta(max_length=MAX_PAGE)] = ()
    next: str | None = None


class Verdict(msgspec.Struct, frozen=True):
    """How far one node is with a push."""

    node: Node
    state: State
    have_bytes: Size = 0
    rate: Count = 0  # In bytes/s.
    reason: Reason = ""  # Why it failed.
    retry_s: Count = 0  # In how many seconds it is tried again.


class VerdictList(Message, frozen=True, tag="verdicts"):
    """One page of the verdicts on `id`."""

    name: What
    id: Id
    size_bytes: Size
    verdicts: Annotated[tuple[Verdict, ...], Meta(max_length=MAX_PAGE)] = ()
    next: str | None = None


class News(Message, frozen=True, tag="news"):
    """Sent to a node without its asking: its wishes, or what it may send, have changed."""

    revision: Count
    lent: Count | None = None  # In bytes/s; None: no budget.


ToTracker = Allow | Push | Unpush | Pushes | Wishes | Verdicts
FromTracker = PushList | WishList | VerdictList | News

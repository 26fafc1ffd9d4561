"""What the log tells people as it happens, as types. Only the reporter depends on them."""

import msgspec


class NodeJoined(msgspec.Struct, frozen=True, gc=False):
    """A node that was unknown, silent or gone has announced itself."""

    node: str
    address: str


class NodeLeft(msgspec.Struct, frozen=True, gc=False):
    node: str


class NodeFellSilent(msgspec.Struct, frozen=True, gc=False):
    """A node did not renew its lease in time."""

    node: str


class NodeForgotten(msgspec.Struct, frozen=True, gc=False):
    """A node outside the cluster file was silent for so long that it is forgotten."""

    node: str
    silent_s: float


class NodePushedOut(msgspec.Struct, frozen=True, gc=False):
    """A node outside the cluster file is forgotten, as its room is needed."""

    node: str


class NodeRefused(msgspec.Struct, frozen=True, gc=False):
    """An update was rejected."""

    node: str
    reason: str


class HolderAdded(msgspec.Struct, frozen=True, gc=False):
    """A node announced something that it did not hold before, or held only in part."""

    node: str
    name: str


class PartialHolderAdded(msgspec.Struct, frozen=True, gc=False):
    """A node announced that it is fetching something, and has part of it."""

    node: str
    name: str


class ClaimRefused(msgspec.Struct, frozen=True, gc=False):
    """A node tried to publish content under a name that `publisher` had published as v`number`.

    If that is not `allowed` at all, so does the cluster file say.
    """

    node: str
    name: str
    number: int
    publisher: str | None
    allowed: bool = True


class PublisherAllowed(msgspec.Struct, frozen=True, gc=False):
    """An admin lets a node publish the next version of a name."""

    admin: str
    node: str
    name: str


class PushBegun(msgspec.Struct, frozen=True, gc=False):
    """Somebody wishes that so many nodes hold something."""

    name: str
    id: str
    by: str
    nodes: int


class PushEnded(msgspec.Struct, frozen=True, gc=False):
    """Somebody has cancelled a push."""

    name: str
    by: str


class PushReached(msgspec.Struct, frozen=True, gc=False):
    """So many of the nodes that shall hold something do now: another quarter of them, or all."""

    name: str
    have: int
    wanted: int


class HolderWithdrew(msgspec.Struct, frozen=True, gc=False):
    """A node announced that it no longer holds something."""

    node: str
    name: str


class HolderTakenOff(msgspec.Struct, frozen=True, gc=False):
    """A node requested something that it was listed to hold, so it must have lost it."""

    node: str
    name: str


class Queried(msgspec.Struct, frozen=True, gc=False):
    """Somebody asked who holds `what`. `asker` is None if it was not in order to fetch it."""

    what: str
    asker: str | None
    holders: tuple[str, ...]
    offline: tuple[str, ...]


Event = (
    NodeJoined
    | NodeLeft
    | NodeFellSilent
    | NodeForgotten
    | NodePushedOut
    | NodeRefused
    | HolderAdded
    | PartialHolderAdded
    | ClaimRefused
    | PublisherAllowed
    | PushBegun
    | PushEnded
    | PushReached
    | HolderWithdrew
    | HolderTakenOff
    | Queried
)

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
    """A node tried to publish content under a name that `publisher` had published as v`number`."""

    node: str
    name: str
    number: int
    publisher: str | None


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
    | NodeRefused
    | HolderAdded
    | PartialHolderAdded
    | ClaimRefused
    | HolderWithdrew
    | HolderTakenOff
    | Queried
)

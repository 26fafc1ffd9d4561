"""What happened in the tracker, as types: for the log, so that people can watch (S12).

Nothing depends on them but the reporter.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """A node that was unknown or silent, or had left, has spoken."""

    node: str
    address: str


@dataclass(frozen=True, slots=True)
class NodeLeft:
    node: str


@dataclass(frozen=True, slots=True)
class NodeFellSilent:
    """A node did not renew its lease in time."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeForgotten:
    """A node that the cluster file does not have was silent for so long that it is forgotten."""

    node: str


@dataclass(frozen=True, slots=True)
class NodeRefused:
    """An update was not accepted, and why."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True)
class HolderAdded:
    """A node announced what it did not hold before, or only in part."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class PartialHolderAdded:
    """A node announced that it fetches this, and has some of it."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class ClaimRefused:
    """A node wanted to publish content under a name that `publisher` had published as v`number`."""

    node: str
    name: str
    number: int
    publisher: str | None


@dataclass(frozen=True, slots=True)
class HolderWithdrew:
    """A node said that it no longer holds this."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class HolderTakenOff:
    """A holder asked for what it was listed to hold: it lost it, or it would not ask (S4)."""

    node: str
    name: str


@dataclass(frozen=True, slots=True)
class Queried:
    """Somebody asked who holds `what`, and was told. `asker` is none for a mere question."""

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

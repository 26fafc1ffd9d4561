"""Who may say what, to the tracker and to nodes: one table. Knows no keys and no sockets.

Without keys in the cluster file everybody is a stranger, and this table does not apply.
"""

import enum
from typing import NamedTuple

from shoal.protocol import messages, pushing
from shoal.protocol.message import Message


class Role(enum.StrEnum):
    """What somebody is in the cluster file."""

    NODE = "node"  # Speaks for itself alone, serves and fetches.
    READER = "reader"  # Fetches and lists.
    ADMIN = "admin"  # May do everything.


class Publish(enum.StrEnum):
    """Who may publish a new version of a name that has one."""

    FIRST = "first"  # Whoever published one before, and admins.
    MEMBERS = "members"  # Every node.
    ADMINS = "admins"  # Admins alone, also what has a new name.


class Who(NamedTuple):
    """Somebody whose key the cluster file has."""

    name: str
    role: Role


class Asker(NamedTuple):
    """From whom a message is: the host of its connection, and who that is if there are keys."""

    host: str  # A number, as in 192.168.1.10; empty if it is unknown.
    who: Who | None = None


_FETCHES = {Role.NODE, Role.READER, Role.ADMIN}
_SERVES = {Role.NODE, Role.ADMIN}
_TABLE: dict[type[Message], set[Role]] = {
    messages.Query: _FETCHES,
    messages.List: _FETCHES,
    messages.Status: _FETCHES,
    messages.Update: _SERVES,
    messages.Renew: _SERVES,
    messages.Leave: _SERVES,
    pushing.Allow: {Role.ADMIN},
    pushing.Push: {Role.ADMIN},
    pushing.Unpush: {Role.ADMIN},
    pushing.Pushes: _FETCHES,
    pushing.Verdicts: _FETCHES,
    pushing.Wishes: _SERVES,
    messages.ManifestRequest: _FETCHES,
    messages.ChunkRequest: _FETCHES,
    messages.WrongChunk: _FETCHES,
    messages.StateRequest: _FETCHES,
}


def refusal(who: Who, request: Message) -> str | None:
    """Return why somebody may not send a request, as a sentence; None if they may.

    Whoever is no admin names nobody but themselves in it.
    """
    if who.role not in _TABLE[type(request)]:
        kind = type(request).__name__.lower()
        return f"{who.name} is a {who.role} of this cluster, which may not send `{kind}`"
    named: str | None = getattr(request, "node", None)
    if named is None or named == who.name or who.role is Role.ADMIN:
        return None
    return f"this is the key of {who.name}, which may not speak for {named}"

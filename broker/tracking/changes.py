"""The entries of the tracker's log: whatever changes what it knows, as plain data.

Decides nothing and applies nothing. `State.apply` is the one place where an entry takes effect,
wherever it comes from: a decision of this tracker, its file at the start, or another tracker. Names
and fields must last: later versions of shoal read logs that this one wrote. Entries refer to nodes
by name and to versions by name and id, never by a process's counter.

Of entries with the same key, the last one counts, and a store may keep that one alone.
"""

from typing import NamedTuple

import msgspec
from shoal.protocol.pushing import Doing


class Publication(NamedTuple):
    """The number of a version and its publisher: v3, published by n1."""

    number: int  # 1, 2, …; 0: unknown
    publisher: str | None


UNPUBLISHED = Publication(0, None)


class Entry(msgspec.Struct, frozen=True, gc=False, tag_field="change"):
    """The base of all entries. When one is encoded, `change` tells its kind."""


class Seen(Entry, frozen=True, gc=False, tag="seen"):
    """A node is at this address, and its updates are accepted up to this one. Key: node.

    `replaces`: it holds nothing but what follows. `is_part`: not all that it had said was known.
    """

    node: str
    address: str
    epoch: int
    sequence: int
    replaces: bool = False
    is_part: bool = False


class Entrusted(Entry, frozen=True, gc=False, tag="entrusted"):
    """A node is known by these tokens, as `Tokens.text` has them; empty: by none. Key: node.

    None is on offer any more.
    """

    node: str
    tokens: str


class Gone(Entry, frozen=True, gc=False, tag="gone"):
    """A node left or did not renew its lease, `silent_s` before this is applied. Key: node."""

    node: str
    left: bool
    silent_s: int = 0


class Forgotten(Entry, frozen=True, gc=False, tag="forgotten"):
    """A node is no longer known, nor what it held."""

    node: str


class Published(Entry, frozen=True, gc=False, tag="published"):
    """Content exists under a name. Of equal numbers, the first counts as newer. Key: name, id.

    It was first announced `age_s` before this is applied. `is_first_hand`: its publisher has said
    so; what an earlier process left in its log counts as that. `is_claim`: its publisher has just
    claimed the number. That is void if another publisher's claim comes first in the log.
    `is_refused`: the last claim of it was void, so a `held` that follows is void, too.
    """

    name: str
    id: str
    size_bytes: int
    number: int = 0
    publisher: str | None = None
    age_s: int = 0
    is_first_hand: bool = True
    is_claim: bool = False
    is_refused: bool = False


class Dropped(Entry, frozen=True, gc=False, tag="dropped"):
    """A version that has no holders is forgotten."""

    name: str
    id: str


class Held(Entry, frozen=True, gc=False, tag="held"):
    """A node holds a version, or part of it. Key: name, id, node."""

    name: str
    id: str
    node: str
    complete: bool


class Withdrawn(Entry, frozen=True, gc=False, tag="withdrawn"):
    """A node no longer holds a version."""

    name: str
    id: str
    node: str


class Disowned(Entry, frozen=True, gc=False, tag="disowned"):
    """A node does not hold what the cluster file says it holds. Key: name, node."""

    name: str
    node: str


class Wished(Entry, frozen=True, gc=False, tag="wished"):
    """Those nodes, or all if none are named, shall hold this. Key: name.

    It was wished `age_s` before this is applied. `again`: it is said once more, and was the name's
    change of that number; if as many are known already, this is void. 0: it is a new one.
    """

    name: str
    id: str
    size_bytes: int
    nodes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    age_s: int = 0
    again: int = 0


class Unwished(Entry, frozen=True, gc=False, tag="unwished"):
    """Nobody shall hold anything under this name any more, since `age_s` before this is applied.

    `again`: as for `Wished`.
    """

    name: str
    age_s: int = 0
    again: int = 0


Change = (
    Seen
    | Entrusted
    | Gone
    | Forgotten
    | Published
    | Dropped
    | Held
    | Withdrawn
    | Disowned
    | Wished
    | Unwished
)


def aged(change: Change, seconds: int) -> Change:
    """Return a change as it is to be applied so much later than it was decided."""
    match change:
        case Published() | Wished() | Unwished():
            return msgspec.structs.replace(change, age_s=change.age_s + seconds)
        case Gone():
            return msgspec.structs.replace(change, silent_s=change.silent_s + seconds)
        case _:
            return change


class Renewed(Entry, frozen=True, gc=False, tag="renewed"):
    """A node renewed its lease, and may have said what it is doing, and could send in bytes/s.

    Not part of the log: leases live in memory only.
    """

    node: str
    doing: Doing | None = None
    wants: int | None = None


class Offered(Entry, frozen=True, gc=False, tag="offered"):
    """A node was given this token. Not part of the log until it has shown it."""

    node: str
    token: str

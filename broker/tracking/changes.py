"""The entries of the tracker's log: whatever changes what it knows, as plain data.

Decides nothing and applies nothing. `State.apply` is the one place where an entry takes effect, no
matter where it comes from: this tracker's decision, its file at the start, or another tracker. So
the names and fields here are lasting: a later version of shoal reads what this one wrote. Entries
refer to nodes by name, and to versions by name and id; nothing in them is counted by a process.

Of two entries with the same key, the later one holds. A store may keep that one alone.
"""

from typing import NamedTuple

import msgspec


class Publication(NamedTuple):
    """Which version of its name some content is, and who published it: v3, published by n1."""

    number: int  # 1, 2, …; 0: nobody has said
    publisher: str | None


UNPUBLISHED = Publication(0, None)


class Entry(msgspec.Struct, frozen=True, gc=False, tag_field="change"):
    """What all entries have in common: `change` says which kind one is when it is encoded."""


class Seen(Entry, frozen=True, gc=False, tag="seen"):
    """A node is at this address, and its updates are taken up to this one. Key: node."""

    node: str
    address: str
    epoch: int
    sequence: int


class Gone(Entry, frozen=True, gc=False, tag="gone"):
    """A node left, or did not renew its lease, `silent_s` before this is applied. Key: node."""

    node: str
    left: bool
    silent_s: int = 0


class Forgotten(Entry, frozen=True, gc=False, tag="forgotten"):
    """Nothing is known of a node any longer, nor what it held."""

    node: str


class Published(Entry, frozen=True, gc=False, tag="published"):
    """There is this content under this name; of equal numbers, the first is newer. Key: name, id.

    `age_s` is how long before this is applied it was first announced.
    """

    name: str
    id: str
    size_bytes: int
    number: int = 0
    publisher: str | None = None
    age_s: int = 0


class Dropped(Entry, frozen=True, gc=False, tag="dropped"):
    """A version that no node holds is forgotten."""

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


Change = Seen | Gone | Forgotten | Published | Dropped | Held | Withdrawn | Disowned


class Renewed(Entry, frozen=True, gc=False, tag="renewed"):
    """A node renewed its lease. Not part of the log: leases live in memory only."""

    node: str

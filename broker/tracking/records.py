"""What outlives the tracker's process, as records. Knows neither SQL nor the tracker's rules.

A record that is saved stands in place of the one with the same key before it.
"""

from dataclasses import dataclass
from typing import NamedTuple


class NodeRecord(NamedTuple):
    """A node that has spoken, where, and how far its updates went. Key: node."""

    node: str
    address: str
    epoch: int
    sequence: int
    left: bool
    silent_s: int | None = None  # For how long, when the record is made; none: it was not.


class Publication(NamedTuple):
    """Which version of its name some content is, and who published it: v3, published by n1."""

    number: int  # 1, 2, …; 0: nobody has said
    publisher: str | None


UNPUBLISHED = Publication(0, None)


class VersionRecord(NamedTuple):
    """A version; `serial` counts first announcements at this tracker. Key: serial."""

    serial: int
    name: str
    id: str
    size_bytes: int
    age_s: int  # When the record is made; it grows while it is kept.
    number: int = 0
    publisher: str | None = None


class HolderRecord(NamedTuple):
    """That a node holds a version. Key: serial and node."""

    serial: int
    node: str
    complete: bool


class DisownedRecord(NamedTuple):
    """That a node has lost what the cluster file says it holds (S4). Key: all of it."""

    name: str
    node: str


class ForgetNode(NamedTuple):
    node: str


class ForgetVersion(NamedTuple):
    serial: int


class ForgetHolder(NamedTuple):
    serial: int
    node: str


Change = (
    NodeRecord
    | VersionRecord
    | HolderRecord
    | DisownedRecord
    | ForgetNode
    | ForgetVersion
    | ForgetHolder
)


@dataclass(frozen=True, slots=True)
class DurableState:
    """All records there are; the versions in the order of their serials."""

    nodes: tuple[NodeRecord, ...] = ()
    versions: tuple[VersionRecord, ...] = ()
    holders: tuple[HolderRecord, ...] = ()
    disowned: tuple[DisownedRecord, ...] = ()


class NotSavedError(Exception):
    """The changes could not be saved: the disk is full, read-only or failing. Nothing was."""

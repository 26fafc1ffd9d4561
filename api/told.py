"""What the library tells of things, nodes and files."""

import msgspec


class Thing(msgspec.Struct, frozen=True):
    """One version of something that is shared. `version` is 0 if nobody knows its number."""

    name: str
    id: str  # b3: and 64 hexadecimal digits, of its content.
    size: int  # Bytes.
    version: int = 0
    publisher: str | None = None
    holders: tuple[str, ...] = ()  # Nodes that have all of it, and are alive.


class File(msgspec.Struct, frozen=True):
    """A file in a directory: its path there, and its bytes."""

    path: str
    size: int


class Progress(msgspec.Struct, frozen=True):
    """How far something is, in bytes; `size` is None while it is unknown."""

    name: str
    done: int
    size: int | None


class Place(msgspec.Struct, frozen=True):
    """A node, and in which state something is there: see docs/use/commands.md on `where`."""

    node: str
    state: str
    complete: bool
    done: int | None  # Bytes of a part.


class Delivery(msgspec.Struct, frozen=True):
    """Which nodes have what was pushed, and why the others have not."""

    thing: Thing
    states: dict[str, str]  # By node: done, fetching, hashing, waiting, failed, offline.
    reasons: dict[str, str]  # Of those that have failed.

    @property
    def done(self) -> int:
        """How many have it."""
        return sum(state == "done" for state in self.states.values())

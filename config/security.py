"""Who belongs to the cluster: the public keys in the cluster file. The secrets are config.keys'.

One key anywhere in the file switches security on for all of the cluster.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from shoal.config.document import Value, choices, shown
from shoal.config.folders import folder_at
from shoal.protocol import keys
from shoal.protocol.errors import OperatorError
from shoal.protocol.permits import Publish, Role, Who

TRACKER = "tracker"  # The tracker's name among those that have keys.
REMEDY = "run `shoal keys`, which makes what is missing"

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_A_KEY = "expected a public key, curve: and 64 of 0-9, a-f"


class ReaderEntry(msgspec.Struct, frozen=True):
    """Who fetches and lists, and never serves: its public key, and the folder it fetches into."""

    key: bytes | None  # None: it is not let in yet.
    folder: Path


class Keys(msgspec.Struct, frozen=True):
    """The public keys of a cluster, 32 bytes each. Who is not in it is not let in."""

    tracker: bytes
    nodes: dict[str, bytes]  # By name. A node may have none yet.
    readers: dict[str, ReaderEntry]
    admins: dict[str, bytes]
    publish: Publish = Publish.FIRST

    def table(self) -> dict[bytes, Who]:
        """Return who has which key, of all that ask the tracker or a node."""
        return {
            key: Who(name, role)
            for role, keys_by_name in (
                (Role.NODE, self.nodes),
                (Role.READER, self._keys_of_readers()),
                (Role.ADMIN, self.admins),
            )
            for name, key in keys_by_name.items()
        }

    def of(self, name: str) -> bytes | None:
        """Return the public key of the tracker, a node, a reader or an admin; None if it has none.

        Names are unique among them.
        """
        all_keys = {TRACKER: self.tracker, **self.nodes, **self._keys_of_readers(), **self.admins}
        return all_keys.get(name)

    def _keys_of_readers(self) -> dict[str, bytes]:
        return {name: one.key for name, one in self.readers.items() if one.key is not None}


class Party(NamedTuple):
    """One that has a key, or is to have one."""

    name: str
    role: str  # tracker, node, reader or admin
    key: bytes | None


class Draft:
    """What a cluster file says of keys, while it is read; some may be missing."""

    def __init__(self) -> None:
        self.tracker: bytes | None = None
        self.has_tracker_list = False  # Then their key, which all share, is at the top of the file.
        self.nodes: dict[str, bytes | None] = {}
        self.readers: dict[str, ReaderEntry] = {}
        self.admins: dict[str, bytes] = {}
        self._publish = Publish.FIRST
        self._owners: dict[bytes, str] = {}
        self._places: dict[str, Value] = {}  # Where each name is.
        self._in_need: list[Value] = []  # What makes sense only where there are keys.

    def take_tracker(self, value: Value, key: Value | None, *, is_list: bool = False) -> None:
        self.has_tracker_list = is_list
        self._places[TRACKER] = value
        self.tracker = self._key(TRACKER, key)

    def take_node(self, name: str, entry: Value, key: Value | None) -> None:
        """Take in a node; one called `tracker` is refused by `complete`, if there are keys."""
        self.nodes[name] = self._key(name, key)
        self._places[name] = entry

    def take_others(self, document: Mapping[str, Value], base: Path) -> None:
        """Take in readers, admins, and who may publish; folders are relative to `base`."""
        for name, entry in self._entries(document.get("readers"), "readers by name", "a reader's"):
            fields = entry.fields(required=("folder",), optional=("key",))
            key = self._key(name, fields.get("key"))
            self.readers[name] = ReaderEntry(key, folder_at(fields["folder"], base))
        for name, entry in self._entries(document.get("admins"), "keys by name", "an admin's"):
            self.admins[name] = self._read(name, entry)
        if "publish" in document:
            self._publish = _publish(document["publish"])
            self._in_need.append(document["publish"])

    def parties(self) -> list[Party]:
        """Return all that have keys or are to have them, in the order of the file's sections."""
        return [
            Party(TRACKER, TRACKER, self.tracker),
            *(Party(name, Role.NODE, key) for name, key in self.nodes.items()),
            *(Party(name, Role.READER, entry.key) for name, entry in self.readers.items()),
            *(Party(name, Role.ADMIN, key) for name, key in self.admins.items()),
        ]

    def complete(self) -> Keys | None:
        """Return the keys; None if there is none at all.

        Raises:
            OperatorError: there is something that needs keys, and no key; or the tracker has none.
        """
        if not self._owners:
            if self._in_need:
                found = "needs keys, and this file has none"
                raise self._in_need[0].error(found, "expected a key for the tracker", REMEDY)
            return None
        self.require_names_apart()
        if self.tracker is None:
            found = "no key, and others have one"
            raise self._places[TRACKER].error(found, "expected a key for the tracker", REMEDY)
        nodes = {name: key for name, key in self.nodes.items() if key is not None}
        return Keys(self.tracker, nodes, self.readers, self.admins, self._publish)

    def require_names_apart(self) -> None:
        """Raise OperatorError if a node is called as the tracker is, where there are keys."""
        if TRACKER in self.nodes:
            found = "found a node called tracker, and there are keys"
            raise self._places[TRACKER].error(found, "expected another name for it")

    def _entries(self, value: Value | None, expected: str, whose: str) -> list[tuple[str, Value]]:
        """Return the entries of a section by names that nobody else has."""
        entries = value.entries(expected) if value is not None else {}
        for name, entry in entries.items():
            check_name(name, entry, whose)
            if name in self._places:
                other = self._places[name]
                found = f"found the name {name}, which line {other.line} has, too ({other.key})"
                raise entry.error(found, "expected a name of its own")
            self._places[name] = entry
            self._in_need.append(entry)
        return list(entries.items())

    def _key(self, name: str, value: Value | None) -> bytes | None:
        return None if value is None else self._read(name, value)

    def _read(self, name: str, value: Value) -> bytes:
        """Return a key. Its text is never shown: it may be a secret that was put there."""
        try:
            key = keys.public_in(value.text("a key"))
        except (OperatorError, ValueError):
            remedy = f"take it out and run `shoal keys`, which makes one for {name}"
            raise value.error("found no public key", _A_KEY, remedy) from None
        if key in self._owners:
            found = f"found the key of {self._owners[key]}"
            remedy = f"take it out and run `shoal keys`, which makes one for {name}"
            raise value.error(found, "expected one of its own", remedy)
        self._owners[key] = name
        return key


def is_name(text: str) -> bool:
    """Return whether a node, a reader or an admin may have that name."""
    return _NAME.fullmatch(text) is not None


def check_name(name: str, entry: Value, whose: str) -> None:
    if not is_name(name):
        expected = "expected 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`"
        raise entry.error(f"not {whose} name", expected)


def _publish(value: Value) -> Publish:
    text = value.text(f"one of {', '.join(Publish)}")
    try:
        return Publish(text)
    except ValueError:
        raise value.error(f"found {shown(text)}", choices(text, Publish)) from None

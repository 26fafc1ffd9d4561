"""Records as rows of a database, each with a checksum, and which rows may be believed.

Opens no file. A row is judged as strictly as a message: one flipped bit costs that row alone.
"""

import contextlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta
from shoal.broker.tracking.records import (
    Change,
    DisownedRecord,
    DurableState,
    ForgetHolder,
    ForgetNode,
    ForgetVersion,
    HolderRecord,
    NodeRecord,
    VersionRecord,
)
from shoal.protocol import addresses, manifest, messages, names

FORMAT = 4  # In user_version. What tells is SCHEMA: a file of another is set aside.
PAGE_BYTES = 4096
SCHEMA = f"""
    BEGIN;
    CREATE TABLE nodes (
        node TEXT PRIMARY KEY, address TEXT NOT NULL, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, seal INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE versions (
        serial INTEGER PRIMARY KEY, name TEXT NOT NULL, id TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, announced_s INTEGER NOT NULL, number INTEGER NOT NULL,
        publisher TEXT, seal INTEGER NOT NULL
    );
    CREATE TABLE holders (
        serial INTEGER, node TEXT, seal INTEGER NOT NULL, PRIMARY KEY (serial, node)
    ) WITHOUT ROWID;
    CREATE TABLE disowned (
        name TEXT, node TEXT, seal INTEGER NOT NULL, PRIMARY KEY (name, node)
    ) WITHOUT ROWID;
    PRAGMA user_version = {FORMAT};
    COMMIT;
"""

Serial = Annotated[int, Meta(ge=1, le=2**53)]


class NodeRow(msgspec.Struct, array_like=True, frozen=True):
    """A node that has spoken, with what is in its seal: `flag` is `_silence_flag`'s."""

    node: messages.Node
    address: messages.Address
    epoch: messages.Count
    sequence: messages.Count
    flag: int

    def __post_init__(self) -> None:
        addresses.split(self.address)


class VersionRow(msgspec.Struct, array_like=True, frozen=True):
    """A version; `announced_s` is on the system's clock, which may have been set back."""

    serial: Serial
    name: messages.What
    id: messages.Id
    size_bytes: messages.Size
    announced_s: int
    number: messages.Number
    publisher: messages.Node | None

    def __post_init__(self) -> None:
        _check_name(self.name)


class HolderRow(msgspec.Struct, array_like=True, frozen=True):
    """That a node holds a version: all of it, if `flag` is 1."""

    serial: Serial
    node: messages.Node
    flag: Annotated[int, Meta(ge=0, le=1)]


class DisownedRow(msgspec.Struct, array_like=True, frozen=True):
    """That a node has lost what the cluster file says it holds."""

    name: messages.What
    node: messages.Node

    def __post_init__(self) -> None:
        _check_name(self.name)


Row = NodeRow | VersionRow | HolderRow | DisownedRow
T = TypeVar("T", NodeRow, VersionRow, HolderRow, DisownedRow)
TABLES: Mapping[str, type[Row]] = {
    "nodes": NodeRow,
    "versions": VersionRow,
    "holders": HolderRow,
    "disowned": DisownedRow,
}
_FLAGGED = {NodeRow, HolderRow}  # Those whose last field is in the seal, …
_FLAG_BITS = 33
_FLAG = (1 << _FLAG_BITS) - 1
_CHECKSUM = (1 << 30) - 1  # … which leaves 30 bits of SQLite's 63 for the checksum.
KEYS = {"nodes": 1, "versions": 1, "holders": 2, "disowned": 2}  # So many columns, from the first.


_DELETIONS: Mapping[type, str] = {
    ForgetNode: "DELETE FROM nodes WHERE node = ?",
    ForgetVersion: "DELETE FROM versions WHERE serial = ?",
    ForgetHolder: "DELETE FROM holders WHERE serial = ? AND node = ?",
}


def _check_name(name: str) -> None:
    names.check_name(name)
    if manifest.is_id(name):
        raise ValueError("is an id where a name is expected")


def selection(table: str) -> str:
    """Return what selects a table's rows, as `state` expects them."""
    kind = TABLES[table]
    columns = kind.__struct_fields__[: -1 if kind in _FLAGGED else None]
    return f"SELECT {', '.join(columns)}, seal FROM {table}"  # noqa: S608 (our own names)


def statement(change: Change, now_s: int) -> tuple[str, tuple[Any, ...]]:
    """Return the SQL and the values that save a change; `now_s` is on the system's clock."""
    match change:
        case NodeRecord(node, address, epoch, sequence, left, silent_s):
            silent_since_s = None if silent_s is None else now_s - silent_s
            flag = _silence_flag(silent_since_s, left=left)
            return _insertion("nodes", (node, address, epoch, sequence), flag)
        case VersionRecord(serial, name, content_id, size_bytes, age_s, number, publisher):
            published = number, publisher
            told = serial, name, content_id, size_bytes, now_s - age_s, *published
            return _insertion("versions", told)
        case HolderRecord(serial, node, complete):
            return _insertion("holders", (serial, node), int(complete))
        case DisownedRecord():
            return _insertion("disowned", tuple(change))
        case ForgetNode() | ForgetVersion() | ForgetHolder():
            return _DELETIONS[type(change)], tuple(change)


def _insertion(table: str, values: tuple[Any, ...], flag: int = 0) -> tuple[str, tuple[Any, ...]]:
    places = ", ".join("?" for _ in range(len(values) + 1))
    sql = f"REPLACE INTO {table} VALUES ({places})"  # noqa: S608 (our own names)
    return sql, (*values, seal(table, values, flag))


def seal(table: str, values: Sequence[Any], flag: int) -> int:
    """Return a row's checksum and, as its lowest 33 bits, its flag, which is in the checksum too.

    What stands in another table, or has another type, has another seal.
    """
    checksum = zlib.crc32(ascii((table, *values, flag)).encode()) & _CHECKSUM
    return checksum << _FLAG_BITS | flag


def _silence_flag(silent_since_s: int | None, *, left: bool) -> int:
    """Return what a node's seal says beside: if it has left, and since when it is silent.

    That is in seconds of the system's clock, up to the year 2106; 0: it is not.
    """
    since_s = 0 if silent_since_s is None else min(max(silent_since_s, 1), (1 << 32) - 1)
    return since_s << 1 | left


class Loaded(NamedTuple):
    """What may be believed of a database's rows."""

    state: DurableState
    left_out: int  # Rows that are damaged, or belong to such a one.
    orphans: tuple[ForgetHolder, ...]  # Holders without node or version, to be deleted.


@dataclass(slots=True)
class _Checked:
    left_out: int = 0

    def rows(self, kind: type[T], raw: Iterable[Sequence[Any]], table: str) -> list[T]:
        rows = []
        for *values, found in raw:
            flag = found & _FLAG if type(found) is int else 0
            row = None
            if found == seal(table, values, flag):
                with contextlib.suppress(msgspec.ValidationError):
                    row = msgspec.convert([*values, flag] if kind in _FLAGGED else values, kind)
            if row is None:
                self.left_out += 1
            else:
                rows.append(row)
        return rows


def state(raw: Mapping[str, Iterable[Sequence[Any]]], now_s: int) -> Loaded:
    """Return what the rows of all tables say, without those that cannot be right."""
    checked = _Checked()
    nodes = checked.rows(NodeRow, raw["nodes"], "nodes")
    versions: dict[tuple[str, str], VersionRow] = {}
    rows = checked.rows(VersionRow, raw["versions"], "versions")
    for version in sorted(rows, key=lambda row: row.serial):
        versions.setdefault((version.name, version.id), version)
    serials, names_of_nodes = {one.serial for one in versions.values()}, {one.node for one in nodes}
    holders: list[HolderRow] = []
    orphans: list[HolderRow] = []
    for holder in checked.rows(HolderRow, raw["holders"], "holders"):
        is_right = holder.serial in serials and holder.node in names_of_nodes
        (holders if is_right else orphans).append(holder)
    disowned = checked.rows(DisownedRow, raw["disowned"], "disowned")
    found = DurableState(
        tuple(_node_record(one, now_s) for one in nodes),
        tuple(_version_record(one, now_s) for one in versions.values()),
        tuple(HolderRecord(one.serial, one.node, one.flag == 1) for one in holders),
        tuple(DisownedRecord(one.name, one.node) for one in disowned),
    )
    left_out = checked.left_out + len(rows) - len(versions)
    return Loaded(found, left_out, tuple(ForgetHolder(one.serial, one.node) for one in orphans))


def _node_record(row: NodeRow, now_s: int) -> NodeRecord:
    silent_since_s, left = row.flag >> 1, bool(row.flag & 1)
    silent_s = max(0, now_s - silent_since_s) if silent_since_s else None
    return NodeRecord(row.node, row.address, row.epoch, row.sequence, left, silent_s)


def _version_record(row: VersionRow, now_s: int) -> VersionRecord:
    age_s = max(0, now_s - row.announced_s)
    published = row.number, row.publisher
    return VersionRecord(row.serial, row.name, row.id, row.size_bytes, age_s, *published)

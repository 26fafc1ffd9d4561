"""The tracker's log as rows of a database, and which rows can be trusted. Opens no file.

A row is checked as strictly as a message: one flipped bit costs that row alone. A `serial` is a
version's place in the order of announcement. The rows of its holders refer to it, as it is shorter
than name and id; outside it is not known.
"""

import contextlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import Meta
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Forgotten,
    Gone,
    Held,
    Published,
    Seen,
    Withdrawn,
)
from shoal.protocol import addresses, manifest, messages, names

FORMAT = 4  # In user_version. A new one needs new seals too: in a damaged file, they alone tell.
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
    """A node that has spoken; `flag` comes from `_silence_flag`, and is kept in the seal."""

    node: messages.Node
    address: messages.Address
    epoch: messages.Count
    sequence: messages.Count
    flag: int

    def __post_init__(self) -> None:
        addresses.split(self.address)


class VersionRow(msgspec.Struct, array_like=True, frozen=True):
    """A version; `announced_s` is on the system's clock, which may have been set back since."""

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
    """A node holds a version: all of it if `flag` is 1."""

    serial: Serial
    node: messages.Node
    flag: Annotated[int, Meta(ge=0, le=1)]


class DisownedRow(msgspec.Struct, array_like=True, frozen=True):
    """A node has lost what the cluster file says it holds."""

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
_FLAGGED = {NodeRow, HolderRow}  # Their last field is part of the seal, …
_FLAG_BITS = 33
_FLAG = (1 << _FLAG_BITS) - 1
_CHECKSUM = (1 << 30) - 1  # … which leaves 30 bits of SQLite's 63 for the checksum.
KEYS = {"nodes": 1, "versions": 1, "holders": 2, "disowned": 2}  # The number of leading columns.


def _check_name(name: str) -> None:
    names.check_name(name)
    if manifest.is_id(name):
        raise ValueError("is an id where a name is expected")


def selection(table: str) -> str:
    """Return the SQL that selects a table's rows, as `log` expects them."""
    kind = TABLES[table]
    columns = kind.__struct_fields__[: -1 if kind in _FLAGGED else None]
    return f"SELECT {', '.join(columns)}, seal FROM {table}"  # noqa: S608 (our own names)


Statement = tuple[str, tuple[Any, ...]]  # In SQL, and its values.
_Simple = Seen | Forgotten | Published | Dropped | Held | Withdrawn | Disowned


def statement(change: _Simple, serial: int, now_s: int) -> Statement:
    """Return what saves a change, if that does not depend on the present row.

    Args:
        change: The change.
        serial: That of the version that the change is about, if it is about one.
        now_s: The time on the system's clock.
    """
    match change:
        case Held():
            return _insertion("holders", (serial, change.node), int(change.complete))
        case Published():
            published = change.number, change.publisher
            told = change.name, change.id, change.size_bytes, now_s - change.age_s, *published
            return _insertion("versions", (serial, *told))
        case Seen(node, address, epoch, sequence):
            return _insertion("nodes", (node, address, epoch, sequence))
        case Disowned(name, node):
            return _insertion("disowned", (name, node))
        case Withdrawn():
            return withdrawal(serial, change.node)
        case _:
            return _deletion(change, serial)


def _deletion(change: Forgotten | Dropped, serial: int) -> Statement:
    if isinstance(change, Dropped):
        return "DELETE FROM versions WHERE serial = ?", (serial,)
    return "DELETE FROM nodes WHERE node = ?", (change.node,)


def silenced(gone: Gone, row: Sequence[Any], now_s: int) -> Statement | None:
    """Return what saves that a node is gone, given its present row; None if that is damaged."""
    *values, found = row
    if found != seal("nodes", values, _flag(found)):
        return None  # A new seal would make it look intact.
    flag = _silence_flag(now_s - gone.silent_s, left=gone.left)
    return _insertion("nodes", values, flag)


def withdrawal(serial: int, node: str) -> Statement:
    """Return what deletes a holder."""
    return "DELETE FROM holders WHERE serial = ? AND node = ?", (serial, node)


_INSERTIONS = {
    table: f"REPLACE INTO {table} VALUES ({', '.join('?' * count)})"  # noqa: S608 (our own names)
    for table, count in {"nodes": 5, "versions": 8, "holders": 3, "disowned": 3}.items()
}


def _insertion(table: str, values: Sequence[Any], flag: int = 0) -> Statement:
    return _INSERTIONS[table], (*values, seal(table, values, flag))


def seal(table: str, values: Sequence[Any], flag: int) -> int:
    """Return a row's checksum, followed by its flag as the lowest 33 bits.

    The checksum covers the table, the values with their types, and the flag.
    """
    checksum = zlib.crc32(ascii((table, *values, flag)).encode()) & _CHECKSUM
    return checksum << _FLAG_BITS | flag


def _flag(found: Any) -> int:
    return found & _FLAG if type(found) is int else 0


def _silence_flag(silent_since_s: int, *, left: bool) -> int:
    """Return the flag of a silent node: since when, in seconds of the system's clock, and `left`.

    The seconds suffice until the year 2106. Other nodes have the flag 0.
    """
    since_s = min(max(silent_since_s, 1), (1 << 32) - 1)
    return since_s << 1 | left


Key = tuple[str, str]  # A version's name and id.


class Loaded(NamedTuple):
    """The rows of a database that can be trusted."""

    log: tuple[Change, ...]
    serials: dict[Key, int]
    left_out: int  # Rows that are damaged.
    orphans: tuple[tuple[int, str], ...]  # Holders without node or version: serial and node.


@dataclass(slots=True)
class _Checked:
    left_out: int = 0

    def rows(self, kind: type[T], raw: Iterable[Sequence[Any]], table: str) -> list[T]:
        rows = []
        for *values, found in raw:
            flag = _flag(found)
            row = None
            if found == seal(table, values, flag):
                with contextlib.suppress(msgspec.ValidationError):
                    row = msgspec.convert([*values, flag] if kind in _FLAGGED else values, kind)
            if row is None:
                self.left_out += 1
            else:
                rows.append(row)
        return rows


def log(raw: Mapping[str, Iterable[Sequence[Any]]], now_s: int) -> Loaded:
    """Return the log that is in the rows of all tables, without those that cannot be right."""
    checked = _Checked()
    nodes = {row.node: row for row in checked.rows(NodeRow, raw["nodes"], "nodes")}
    rows = checked.rows(VersionRow, raw["versions"], "versions")
    versions: dict[int, VersionRow] = {}
    serials: dict[Key, int] = {}
    for row in sorted(rows, key=lambda row: row.serial):
        if serials.setdefault((row.name, row.id), row.serial) == row.serial:
            versions[row.serial] = row
    changes = [*_node_changes(nodes.values(), now_s), *_publications(versions.values(), now_s)]
    orphans = []
    for holder in checked.rows(HolderRow, raw["holders"], "holders"):
        held = versions.get(holder.serial)
        node = nodes.get(holder.node)
        if held is None or node is None:
            orphans.append((holder.serial, holder.node))
        else:  # Share the other rows' strings: there may be 4,000,000 holders.
            changes.append(Held(held.name, held.id, node.node, holder.flag == 1))
    disowned = checked.rows(DisownedRow, raw["disowned"], "disowned")
    changes += (Disowned(row.name, row.node) for row in disowned)
    left_out = checked.left_out + len(rows) - len(versions)
    return Loaded(tuple(changes), serials, left_out, tuple(orphans))


def _node_changes(rows: Iterable[NodeRow], now_s: int) -> Iterable[Change]:
    """Yield what is known about nodes, in the order in which they fell silent."""
    for row in sorted(rows, key=lambda row: row.flag >> 1):
        yield Seen(row.node, row.address, row.epoch, row.sequence)
        silent_since_s, left = row.flag >> 1, bool(row.flag & 1)
        if silent_since_s or left:
            silent_s = max(0, now_s - silent_since_s) if silent_since_s else 0
            yield Gone(row.node, left, silent_s)


def _publications(rows: Iterable[VersionRow], now_s: int) -> Iterable[Change]:
    for row in rows:
        age_s = max(0, now_s - row.announced_s)
        yield Published(row.name, row.id, row.size_bytes, row.number, row.publisher, age_s)

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
    Entrusted,
    Forgotten,
    Gone,
    Held,
    Published,
    Seen,
    Unwished,
    Wished,
    Withdrawn,
)
from shoal.protocol import addresses, fields, manifest, names
from shoal.protocol.pushing import Target

FORMAT = 6  # In user_version. A new one needs new seals too: in a damaged file, they alone tell.
PAGE_BYTES = 4096
_TOKENS = """
    CREATE TABLE tokens (
        node TEXT PRIMARY KEY, tokens TEXT NOT NULL, seal INTEGER NOT NULL
    ) WITHOUT ROWID;
"""
_WISHES = """
    CREATE TABLE wishes (
        name TEXT PRIMARY KEY, id TEXT NOT NULL, size_bytes INTEGER NOT NULL,
        wished_s INTEGER NOT NULL, target TEXT NOT NULL, seal INTEGER NOT NULL
    ) WITHOUT ROWID;
"""
# By the format of a file: what makes it one of the next format, in which all else is the same.
MIGRATIONS = {
    4: f"BEGIN; {_TOKENS} PRAGMA user_version = 5; COMMIT;",
    5: f"BEGIN; {_WISHES} PRAGMA user_version = 6; COMMIT;",
}
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
    {_TOKENS}
    {_WISHES}
    PRAGMA user_version = {FORMAT};
    COMMIT;
"""

Serial = Annotated[int, Meta(ge=1, le=2**53)]


class NodeRow(msgspec.Struct, array_like=True, frozen=True):
    """A node that has spoken; `flag` comes from `_silence_flag`, and is kept in the seal."""

    node: fields.Node
    address: fields.Address
    epoch: fields.Count
    sequence: fields.Count
    flag: int

    def __post_init__(self) -> None:
        addresses.split(self.address)


class VersionRow(msgspec.Struct, array_like=True, frozen=True):
    """A version; `announced_s` is on the system's clock, which may have been set back since."""

    serial: Serial
    name: fields.What
    id: fields.Id
    size_bytes: fields.Size
    announced_s: int
    number: fields.Number
    publisher: fields.Node | None

    def __post_init__(self) -> None:
        _check_name(self.name)


class HolderRow(msgspec.Struct, array_like=True, frozen=True):
    """A node holds a version: all of it if `flag` is 1."""

    serial: Serial
    node: fields.Node
    flag: Annotated[int, Meta(ge=0, le=1)]


class DisownedRow(msgspec.Struct, array_like=True, frozen=True):
    """A node has lost what the cluster file says it holds."""

    name: fields.What
    node: fields.Node

    def __post_init__(self) -> None:
        _check_name(self.name)


class TokensRow(msgspec.Struct, array_like=True, frozen=True):
    """By which tokens a node is known."""

    node: fields.Node
    tokens: fields.Text


class WishRow(msgspec.Struct, array_like=True, frozen=True):
    """What nodes shall hold; `target` is a `pushing.Target` in JSON."""

    name: fields.What
    id: fields.Id
    size_bytes: fields.Size
    wished_s: int
    target: str

    def __post_init__(self) -> None:
        _check_name(self.name)
        try:
            self.to()
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None

    def to(self) -> Target:
        return msgspec.json.decode(self.target, type=Target)


Row = NodeRow | VersionRow | HolderRow | DisownedRow | TokensRow | WishRow
T = TypeVar("T", NodeRow, VersionRow, HolderRow, DisownedRow, TokensRow, WishRow)
TABLES: Mapping[str, type[Row]] = {
    "nodes": NodeRow,
    "versions": VersionRow,
    "holders": HolderRow,
    "disowned": DisownedRow,
    "tokens": TokensRow,
    "wishes": WishRow,
}
OF_NODES = ("holders", "tokens", "nodes")  # They have a column `node`.
_FLAGGED = {NodeRow, HolderRow}  # Their last field is part of the seal, …
_FLAG_BITS = 33
_FLAG = (1 << _FLAG_BITS) - 1
_CHECKSUM = (1 << 30) - 1  # … which leaves 30 bits of SQLite's 63 for the checksum.
# The number of leading columns that are a row's key.
KEYS = {"nodes": 1, "versions": 1, "holders": 2, "disowned": 2, "tokens": 1, "wishes": 1}


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
_Simple = (
    Seen
    | Entrusted
    | Forgotten
    | Published
    | Dropped
    | Held
    | Withdrawn
    | Disowned
    | Wished
    | Unwished
)


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
        case Wished() | Unwished():
            return _wish(change, now_s)
        case Entrusted() | Forgotten() | Withdrawn() | Dropped():
            return _other_statement(change, serial)


def _wish(change: Wished | Unwished, now_s: int) -> Statement:
    if isinstance(change, Unwished):
        return "DELETE FROM wishes WHERE name = ?", (change.name,)
    target = msgspec.json.encode(Target(change.nodes, change.zones)).decode()
    since_s = now_s - change.age_s
    return _insertion("wishes", (change.name, change.id, change.size_bytes, since_s, target))


def _other_statement(change: Entrusted | Forgotten | Withdrawn | Dropped, serial: int) -> Statement:
    match change:
        case Withdrawn():
            return withdrawal(serial, change.node)
        case Dropped():
            return "DELETE FROM versions WHERE serial = ?", (serial,)
        case Entrusted(node, tokens) if tokens:
            return _insertion("tokens", (node, tokens))
        case Entrusted(node):
            return "DELETE FROM tokens WHERE node = ?", (node,)
        case _:
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


_COLUMNS = {"nodes": 5, "versions": 8, "holders": 3, "disowned": 3, "tokens": 3, "wishes": 6}
_INSERTIONS = {
    table: f"REPLACE INTO {table} VALUES ({', '.join('?' * count)})"  # noqa: S608 (our own names)
    for table, count in _COLUMNS.items()
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
    tokens = checked.rows(TokensRow, raw["tokens"], "tokens")
    changes += (Entrusted(row.node, row.tokens) for row in tokens if row.node in nodes)
    changes += _wishes(checked.rows(WishRow, raw["wishes"], "wishes"), now_s)
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


def _wishes(rows: Iterable[WishRow], now_s: int) -> Iterable[Change]:
    for row in rows:
        to, age_s = row.to(), max(0, now_s - row.wished_s)
        yield Wished(row.name, row.id, row.size_bytes, to.nodes, to.zones, age_s)

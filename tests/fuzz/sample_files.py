"""Files that the decoders accept, to begin from: made by shoal's own code."""

import tempfile
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]  # It ships no stubs.
import msgspec
from shoal.broker import rows, salvage
from shoal.broker.sqlite_store import SqliteStore
from shoal.hosts.machine import this_machine
from shoal.node.files.signature import Signature
from shoal.node.folder.cache import Cache
from shoal.node.folder.rules import Damage, Rule, Rules
from shoal.node.staging.spare import Seen
from shoal.protocol.manifest import DIGEST_BYTES
from shoal.protocol.titles import Title

from tests.unit.broker.test_sqlite_store import EVERYTHING
from tests.unit.node.sample_trees import TREE, look, make

ROOT = Path(__file__).parents[2]
SIGNATURE = Signature(10, 1, 2, 0o644)
AN_ID = f"b3:{'0a' * 32}"
_FLAG = (1 << 33) - 1
_MOST = 1 << 63  # Beyond SQLite's integers.
Rows = dict[str, list[list[Any]]]


def cluster_files() -> tuple[bytes, ...]:
    return tuple(path.read_bytes() for path in sorted((ROOT / "config").glob("*.yaml")))


def rules() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        kept = Rules(Path(folder))
        kept.set("a.bin", Rule("its bytes have rotted", damage=Damage(AN_ID, "1 2", 3, 1)))
        kept.set("photos", Rule(include=("*.jpg",), exclude=("/raw",), follow_links=True))
        return ((Path(folder) / "rules.json").read_bytes(),)


def caches() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.db"
        cache = Cache(path)
        cache.remember("a.bin", SIGNATURE, b"manifest")
        cache.entitle("a.bin", Title(AN_ID, 3, "n1"))
        cache.next_epoch()
        cache.close()
        return (path.read_bytes(),)


def tracker_files() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        store = SqliteStore(path)
        store.load()
        store.exchange(EVERYTHING)
        store.close()
        return (path.read_bytes(),)


def journals() -> tuple[bytes, ...]:
    """Return the journal of a database that was not closed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        store = SqliteStore(path)
        store.load()
        store.exchange(EVERYTHING)
        journal = path.with_name("tracker.db-wal").read_bytes()
        store.close()
        return (journal,)


def packed_rows() -> tuple[bytes, ...]:
    """Return the rows of a database, each with its flag in place of its seal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.db"
        path.write_bytes(tracker_files()[0])
        raw, _ = salvage.rows_in(path)
    unsealed = {
        table: [[*values, sealed & _FLAG] for *values, sealed in found]
        for table, found in raw.items()
    }
    return (msgpack.packb(unsealed),)


def unpacked_rows(data: bytes) -> Rows:
    """Return rows as SQLite might give them; none of the right width: there are no others."""
    try:
        told = msgspec.msgpack.decode(data, type=Rows)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {table: [] for table in rows.TABLES}
    return {
        table: [row for row in told.get(table, []) if _may_be_of(table, row)]
        for table in rows.TABLES
    }


def _may_be_of(table: str, row: list[Any]) -> bool:
    """Return whether SQLite could give such a row, and its last value is a flag."""
    if len(row) != len(rows.selection(table).split(",")) or type(row[-1]) is not int:
        return False
    kinds = {int, float, str, bytes, type(None)}
    return 0 <= row[-1] <= _FLAG and all(
        type(value) in kinds and (type(value) is not int or -_MOST <= value < _MOST)
        for value in row
    )


def seen() -> tuple[bytes, ...]:
    """Return what a fetch remembers of what it may replace, without the digest before it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "replaces"
        Seen.of(look(make(Path(folder) / "t", TREE))).save(place)
        return (place.read_bytes()[DIGEST_BYTES:],)


def host_output() -> tuple[bytes, ...]:
    """Return what the commands on a host print."""
    fetched = b'[{"name": "a", "size_bytes": 5, "elapsed_s": 0.5, "holders": {"n2": 5}}]'
    machine = msgspec.json.encode(this_machine())
    place = (
        b'{"port": "free", "free_bytes": 5, "is_installed": true, "place": "/", "may_write": true}'
    )
    where = b'{"size_bytes": 5, "nodes": [{"node": "n1", "state": "copy"}]}'
    return (
        fetched,
        machine,
        machine + b"\n" + place,
        where,
        b'{"nodes": [{"node": "n1", "alive": true}, {"node": "n2", "alive": false}]}',
    )

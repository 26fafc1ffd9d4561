"""What is remembered of a folder across starts: manifests by signature, and the starts' count.

Only a cache: lost or broken, it is made anew and the folder is hashed again.
"""

import sqlite3
import threading
from pathlib import Path

from node.hashing import Signature

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manifests (
    name TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, mode INTEGER, data BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS starts (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER);
"""


class Cache:
    """The manifests of one node's folder, in SQLite. May be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._database = self._open()

    def manifest_of(self, name: str, signature: Signature) -> bytes | None:
        """Return the manifest bytes of `name`, if it was hashed with this very signature."""
        with self._lock:
            row = self._database.execute(
                "SELECT data FROM manifests"
                " WHERE name = ? AND size = ? AND mtime_ns = ? AND inode = ? AND mode = ?",
                (name, *_columns(signature)),
            ).fetchone()
        return row[0] if row else None

    def remember(self, name: str, signature: Signature, data: bytes) -> None:
        with self._lock, self._database:
            self._database.execute(
                "REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?)",
                (name, *_columns(signature), data),
            )

    def forget(self, name: str) -> None:
        with self._lock, self._database:
            self._database.execute("DELETE FROM manifests WHERE name = ?", (name,))

    def next_epoch(self) -> int:
        """Return the number of this start: larger than that of every start before."""
        with self._lock, self._database:
            self._database.execute(
                "INSERT INTO starts VALUES (1, 1) ON CONFLICT (one) DO UPDATE SET count = count + 1"
            )
            (count,) = self._database.execute("SELECT count FROM starts").fetchone()
        assert isinstance(count, int)
        return count

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, check_same_thread=False, timeout=5.0)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.executescript(_SCHEMA)
            database.execute("SELECT count(*) FROM manifests, starts")
        except BaseException:
            database.close()
            raise
        return database


def _columns(signature: Signature) -> tuple[int, int, int, int]:
    return (signature.size_bytes, signature.mtime_ns, signature.inode, signature.mode)

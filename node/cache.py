"""What is remembered of a folder across starts: manifests by signature, titles, starts' count.

Only a cache: lost or broken, it is made anew, the folder is hashed again, and the tracker says
which versions lie there.
"""

import logging
import os
import sqlite3
import threading
import time
from pathlib import Path

from blake3 import blake3

from node.placing import remove
from node.raw_files import claim
from node.titles import Title
from node.whole import Signature
from protocol.manifest import DIGEST_BYTES

log = logging.getLogger("shoal.node")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manifests (
    name TEXT PRIMARY KEY, size INTEGER, mtime_ns INTEGER, inode INTEGER, mode INTEGER, data BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS titles (
    name TEXT PRIMARY KEY, id TEXT, version INTEGER, publisher TEXT, claims INTEGER
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
        row = self._run(
            "SELECT data FROM manifests"
            " WHERE name = ? AND size = ? AND mtime_ns = ? AND inode = ? AND mode = ?",
            (name, *_columns(signature)),
        )
        match row:
            case (bytes(checked),):
                digest, data = checked[:DIGEST_BYTES], checked[DIGEST_BYTES:]
            case _:
                return None
        return data if blake3(data).digest() == digest else None

    def remember(self, name: str, signature: Signature, data: bytes) -> None:
        checked = blake3(data).digest() + data
        values = (name, *_columns(signature), checked)
        self._run("REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?)", values)

    def forget(self, name: str) -> None:
        self._run("DELETE FROM manifests WHERE name = ?", (name,))

    def title_of(self, name: str) -> Title | None:
        """Return which version the thing of that name was, if that is known."""
        columns = "SELECT id, version, publisher, claims FROM titles"
        match self._run(f"{columns} WHERE name = ?", (name,)):
            case (str(content_id), int(version), str() | None as publisher, int(claims)):
                return Title(content_id, version, publisher, bool(claims))
            case _:
                return None

    def entitle(self, name: str, title: Title) -> None:
        values = (name, title.id, title.version, title.publisher, title.claims)
        self._run("REPLACE INTO titles VALUES (?, ?, ?, ?, ?)", values)

    def forget_title(self, name: str) -> None:
        self._run("DELETE FROM titles WHERE name = ?", (name,))

    def next_epoch(self) -> int:
        """Return the number of this start: larger than that of every start before.

        It is the clock's milliseconds at least, so that it is larger even if the cache was lost.
        """
        now_ms = time.time_ns() // 1_000_000
        self._run(
            "INSERT INTO starts VALUES (1, ?)"
            " ON CONFLICT (one) DO UPDATE SET count = max(count + 1, excluded.count)",
            (now_ms,),
        )
        match self._run("SELECT count FROM starts", ()):
            case (int(count),):
                return count
            case _:
                return now_ms

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _run(self, statement: str, values: tuple[object, ...]) -> tuple[object, ...] | None:
        """Return the first row that a statement gives; None if it gives none, or fails."""
        try:
            with self._lock, self._database:
                row = self._database.execute(statement, values).fetchone()
        except sqlite3.OperationalError as error:  # Locked, or the disk is full.
            log.warning("the cache in %s is of no use now: %s", self._path.parent, error)
            return None
        except sqlite3.DatabaseError:
            with self._lock:
                self._database.close()
                self._database = self._anew()
            return None
        return tuple(row) if row else None

    def _open(self) -> sqlite3.Connection:
        for path in self._files():
            claim(os.fsencode(path))  # SQLite would write through a link, and wait for a FIFO.
        try:
            return self._connect(self._path)
        except sqlite3.DatabaseError:
            return self._anew()

    def _anew(self) -> sqlite3.Connection:
        for path in self._files():
            remove(path)
        try:
            return self._connect(self._path)
        except sqlite3.DatabaseError as error:
            log.warning("cannot keep the cache in %s: %s", self._path.parent, error)
            return self._connect(":memory:")

    def _files(self) -> list[Path]:
        return [self._path.with_name(self._path.name + suffix) for suffix in ("", "-wal", "-shm")]

    def _connect(self, path: Path | str) -> sqlite3.Connection:
        database = sqlite3.connect(path, check_same_thread=False, timeout=5.0)
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

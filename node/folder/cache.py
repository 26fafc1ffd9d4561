"""What a node remembers of its folder across starts: manifests, titles, and the count of starts.

Only a cache: if it is lost or broken it is rebuilt, the folder is hashed again, and the tracker
names the versions. Where SQLite cannot work on a file (the disk is full, the path is longer
than its own limit) it is kept in memory, and written to the file at the end if that can be done.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from pathlib import Path

from blake3 import blake3
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import claim, read_at, write_at
from shoal.node.files.signature import Signature
from shoal.protocol.manifest import DIGEST_BYTES
from shoal.protocol.titles import Title

log = logging.getLogger("shoal.node")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manifests (
    name TEXT PRIMARY KEY, signature TEXT, data BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS titles (
    name TEXT PRIMARY KEY, id TEXT, version INTEGER, publisher TEXT, claims INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS starts (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER);
"""


# Signatures are text: inodes have 64 bits, and so have times after 2262; SQLite's integers have 63.
_FORMAT = 2  # Of the tables; tables in another format are dropped.
_MAX_IMAGE_BYTES = 1 << 30
MAX_PATH_BYTES = 480  # SQLite refuses more than 512, with its "-journal"; it follows links first.
# What a damaged file raises; the latter where SQLite quotes damage in its error.
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
_IMAGE_FORMAT = slice(18, 20)  # Of a database's header: 2 says WAL, which needs a file; 1 does not.


class Cache:
    """The manifests of one node's folder, in SQLite. May be used from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._is_in_memory = False
        self._warned: set[str] = set()
        self._database = self._open()

    def manifest_of(self, name: str, signature: Signature) -> bytes | None:
        """Return the manifest bytes of `name`, if it was hashed with this very signature."""
        statement = "SELECT data FROM manifests WHERE name = ? AND signature = ?"
        match self._run(statement, (name, signature.text)):
            case (bytes(checked),):
                digest, data = checked[:DIGEST_BYTES], checked[DIGEST_BYTES:]
            case _:
                return None
        return data if blake3(data).digest() == digest else None

    def remember(self, name: str, signature: Signature, data: bytes) -> None:
        checked = blake3(data).digest() + data
        self._run("REPLACE INTO manifests VALUES (?, ?, ?)", (name, signature.text, checked))

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
                return max(count, now_ms)  # The disk may have refused to count up.
            case _:
                return now_ms

    def close(self) -> None:
        with self._lock:
            if self._is_in_memory:
                self._save()
            with contextlib.suppress(sqlite3.Error):  # Else a full disk keeps it from being read.
                self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.close()

    def _run(self, statement: str, values: tuple[object, ...]) -> tuple[object, ...] | None:
        """Return the first row that a statement gives; None if it gives none, or fails."""
        try:
            with self._lock, self._database:
                row = self._database.execute(statement, values).fetchone()
        except sqlite3.OperationalError as error:  # Locked, or the disk is full.
            self._warn("cannot use the cache in %s: %s", error)
            return None
        except _DAMAGED:
            with self._lock:
                self._database.close()
                self._database = self._anew()
            return None
        return tuple(row) if row else None

    def _open(self) -> sqlite3.Connection:
        if len(os.fsencode(self._path.absolute())) > MAX_PATH_BYTES:
            return self._in_memory()
        for path in self._files():
            claim(os.fsencode(path))  # SQLite would write through a link, and wait for a FIFO.
        try:
            return _connect(self._path)
        except sqlite3.OperationalError as error:  # The file itself may be fine.
            self._warn("cannot keep the cache in %s: %s", error)
            return self._in_memory()
        except _DAMAGED:
            return self._anew()

    def _anew(self) -> sqlite3.Connection:
        for path in self._files():
            remove(path)
        if self._is_in_memory:
            return _connect(":memory:")
        try:
            return _connect(self._path)
        except sqlite3.DatabaseError as error:
            self._warn("cannot keep the cache in %s: %s", error)
            return self._in_memory()

    def _in_memory(self) -> sqlite3.Connection:
        """Return a database in memory, with the contents of the file."""
        self._is_in_memory = True
        database = sqlite3.connect(":memory:", check_same_thread=False)
        try:
            image = bytearray(read_at(os.fsencode(self._path), 0, _MAX_IMAGE_BYTES))
            if image:
                image[_IMAGE_FORMAT] = b"\1\1"[: len(image[_IMAGE_FORMAT])]
                database.deserialize(bytes(image))
            return _prepared(database)
        except (OSError, sqlite3.Error, UnicodeDecodeError):
            database.close()
            return _connect(":memory:")

    def _save(self) -> None:
        """Write the database in memory to the file; if that fails, the file stays as it is."""
        aside = self._path.with_name(self._path.name + ".new")
        with contextlib.suppress(OSError, sqlite3.Error):
            try:
                write_at(os.fsencode(aside), 0, memoryview(self._database.serialize()))
                for path in self._files()[1:]:  # They belong to the file that is replaced.
                    remove(path)
                aside.rename(self._path)
            finally:
                remove(aside)

    def _warn(self, words: str, error: Exception) -> None:
        """Log a problem once, however many things run into it."""
        line = words % (self._path.parent, error)
        if line not in self._warned:
            self._warned.add(line)
            log.warning("%s", line)

    def _files(self) -> list[Path]:
        return [self._path.with_name(self._path.name + suffix) for suffix in ("", "-wal", "-shm")]


def _connect(path: Path | str) -> sqlite3.Connection:
    return _prepared(sqlite3.connect(path, check_same_thread=False, timeout=5.0))


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (known,) = database.execute("PRAGMA user_version").fetchone()
        if known != _FORMAT:
            database.execute("DROP TABLE IF EXISTS manifests")
            database.execute(f"PRAGMA user_version = {_FORMAT}")
        database.executescript(_SCHEMA)
        database.execute("SELECT count(*) FROM manifests, starts")
    except BaseException:
        database.close()
        raise
    return database

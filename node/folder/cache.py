"""What a node remembers of its folder across starts: manifests, titles, and the count of starts.

A loss of power may take the bytes of a file and leave it its size and its time. So a manifest
counts for the run of the machine in which it was made, and for later ones once its file is known to
be on the disk (folder.settling). Otherwise it is *doubtful*: it says what the bytes were.

A manifest is kept by the name of its thing, with where that was: if something like it is found
elsewhere, and it is no longer there, it has moved.

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
from collections.abc import Callable, Sequence
from pathlib import Path

from blake3 import blake3
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import claim, read_at, write_at
from shoal.node.files.signature import Signature
from shoal.protocol.manifest import DIGEST_BYTES, TREE_MODE
from shoal.protocol.titles import Title
from shoal.system.boot import boot_id

log = logging.getLogger("shoal.node")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS manifests (
    name TEXT PRIMARY KEY, signature TEXT, data BLOB, boot TEXT,
    ctime TEXT DEFAULT '', device TEXT DEFAULT '', place BLOB DEFAULT x'', gone INTEGER DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS manifests_signature ON manifests (signature);
CREATE INDEX IF NOT EXISTS manifests_gone ON manifests (gone) WHERE gone > 0;
CREATE TABLE IF NOT EXISTS titles (
    name TEXT PRIMARY KEY, id TEXT, version INTEGER, publisher TEXT, claims INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS starts (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER);
"""


# Signatures are text: inodes have 64 bits, and so have times after 2262; SQLite's integers have 63.
_DURABLE = ""  # Of which run of the machine a manifest is, if it counts for all later ones.
_FORMAT = 4  # Of the tables; tables in another format are dropped …
_BEFORE = 3  # … but for this one, which lacks some columns of the manifests.
_NEW_COLUMNS = (
    "ctime TEXT DEFAULT ''",
    "device TEXT DEFAULT ''",
    "place BLOB DEFAULT x''",
    "gone INTEGER DEFAULT 0",
)
MOST_GONE = 1000  # Manifests of things that are gone, and may be found elsewhere …
SOME_MORE = 100  # … and so many more before the oldest are removed, which takes milliseconds.
_MAX_IMAGE_BYTES = 1 << 30
MAX_PATH_BYTES = 480  # SQLite refuses more than 512, with its "-journal"; it follows links first.
# What a damaged file raises; the latter where SQLite quotes damage in its error.
_DAMAGED = (sqlite3.DatabaseError, UnicodeDecodeError)
_IMAGE_FORMAT = slice(18, 20)  # Of a database's header: 2 says WAL, which needs a file; 1 does not.


class Cache:
    """The manifests of one node's folder, in SQLite. May be used from any thread."""

    def __init__(self, path: Path, boot: str | None = None) -> None:
        """`boot` is the run of the machine; by default the present one."""
        self._path = path
        self._boot = boot or boot_id()
        self._lock = threading.Lock()
        self._is_in_memory = False
        self._gone = 0
        self._warned: set[str] = set()
        self._titles_lock = threading.Lock()
        self._unsaved: dict[str, Title | None] = {}  # Titles that the disk has refused so far.
        self._database = self._open()

    def manifest_of(self, name: str, signature: Signature) -> bytes | None:
        """Return the manifest bytes of `name`, if it was hashed with this very signature."""
        found = self._found(name, signature)
        return found[0] if found is not None and found[1] in {_DURABLE, self._boot} else None

    def doubtful_manifest_of(self, name: str, signature: Signature) -> bytes | None:
        """Return the same of a file whose bytes may have been lost with the power since."""
        found = self._found(name, signature)
        return found[0] if found is not None and found[1] not in {_DURABLE, self._boot} else None

    def remember(
        self,
        name: str,
        signature: Signature,
        data: bytes,
        *,
        is_durable: bool = False,
        place: str = "",
    ) -> None:
        """Keep a manifest; `is_durable` says that the bytes are certainly on the disk.

        `place` is where they are; a link there is followed.
        """
        checked = blake3(data).digest() + data
        where = os.fsencode(os.path.realpath(place)) if place else b""
        found = _ctime(signature), str(signature.device), where
        values = name, signature.text, checked, _DURABLE if is_durable else self._boot, *found
        self._run("REPLACE INTO manifests VALUES (?, ?, ?, ?, ?, ?, ?, 0)", values)

    def move(self, name: str, signature: Signature, place: str) -> bytes | None:
        """Return the manifest bytes of what is `place`d here now, and keep them by its new `name`.

        None if nothing like it was hashed, or that is still where it was. A move changes the ctime
        of a file: it is taken for the same by its device, inode, size and time.
        """
        statement = """
            SELECT name, data, boot, place FROM manifests
            WHERE signature = ? AND device = ? AND (ctime = ? OR NOT ?)
            AND boot IN (?, ?) AND place != x''
        """
        found = signature.text, str(signature.device), _ctime(signature)
        values = *found, signature.mode == TREE_MODE, _DURABLE, self._boot
        for row in self._all(statement, values):
            match row:
                case (str(old), bytes(checked), str(boot), bytes(there)):
                    data = _intact(checked)
                    if data is not None and _has_left(there, signature):
                        self.forget(old)
                        is_durable = boot == _DURABLE
                        self.remember(name, signature, data, is_durable=is_durable, place=place)
                        return data
                case _:
                    pass  # It is damaged.
        return None

    def unsettled(self) -> list[tuple[str, str]]:
        """Return names and signatures of what was hashed and may not be on the disk yet."""
        statement = "SELECT name, signature FROM manifests WHERE boot = ?"
        return [(str(name), str(text)) for name, text in self._all(statement, (self._boot,))]

    def settle(self, hashed: Sequence[tuple[str, str]]) -> None:
        """Note that what was hashed, by names and signatures, is on the disk."""
        statement = "UPDATE manifests SET boot = ? WHERE name = ? AND signature = ?"
        values = [(_DURABLE, *one) for one in hashed]
        self._transact(lambda database: database.executemany(statement, values))

    def forget(self, name: str) -> None:
        self._run("DELETE FROM manifests WHERE name = ?", (name,))

    def gone(self, name: str) -> None:
        """Note that a thing is gone: its manifest is kept for a while, as it may have moved."""
        values = time.time_ns() // 1_000_000, name
        self._run("UPDATE manifests SET gone = ? WHERE name = ?", values)
        self._gone += 1
        if self._gone % SOME_MORE:
            return
        statement = """
            DELETE FROM manifests WHERE gone > 0 AND name NOT IN
            (SELECT name FROM manifests WHERE gone > 0 ORDER BY gone DESC LIMIT ?)
        """
        self._run(statement, (MOST_GONE,))

    def title_of(self, name: str) -> Title | None:
        """Return which version the thing of that name was, if that is known."""
        if name in self._unsaved:
            return self._unsaved.get(name)
        columns = "SELECT id, version, publisher, claims FROM titles"
        match self._run(f"{columns} WHERE name = ?", (name,)):
            case (str(content_id), int(version), str() | None as publisher, int(claims)):
                return Title(content_id, version, publisher, bool(claims))
            case _:
                return None

    def entitle(self, name: str, title: Title) -> None:
        self._save_title(name, title)

    def forget_title(self, name: str) -> None:
        self._save_title(name, None)

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
        with self._titles_lock:
            self._save_titles()
        with self._lock:
            if self._is_in_memory:
                self._save()
            with contextlib.suppress(sqlite3.Error):  # Else a full disk keeps it from being read.
                self._database.execute("PRAGMA journal_mode = DELETE")
            self._database.close()

    def _save_title(self, name: str, title: Title | None) -> None:
        """Keep a title in memory until the disk takes it: an older one must not come back."""
        with self._titles_lock:
            self._unsaved[name] = title
            self._save_titles()

    def _save_titles(self) -> None:
        for name, title in list(self._unsaved.items()):
            if self._attempt(*_title_statement(name, title)) is None:
                return
            del self._unsaved[name]

    def _found(self, name: str, signature: Signature) -> tuple[bytes, str] | None:
        """Return the manifest bytes with this signature, if they are intact, and of which run."""
        columns, now = "SELECT data, boot, ctime, gone FROM manifests", _ctime(signature)
        match self._run(columns + " WHERE name = ? AND signature = ?", (name, signature.text)):
            case (bytes(checked), str(boot), str(ctime), int(gone)) if ctime in {"", now}:
                if gone or ctime != now:  # It is back, or was kept in the format before.
                    found = now, name
                    self._run("UPDATE manifests SET ctime = ?, gone = 0 WHERE name = ?", found)
                data = _intact(checked)
                return None if data is None else (data, boot)
            case _:
                return None

    def _run(self, statement: str, values: tuple[object, ...]) -> tuple[object, ...] | None:
        """Return the first row that a statement gives; None if it gives none, or fails."""
        rows = self._all(statement, values)
        return rows[0] if rows else None

    def _all(self, statement: str, values: tuple[object, ...]) -> list[tuple[object, ...]]:
        """Return the rows that a statement gives; none if it fails."""
        return self._attempt(statement, values) or []

    def _attempt(
        self, statement: str, values: tuple[object, ...]
    ) -> list[tuple[object, ...]] | None:
        """Return the rows that a statement gives; None if it fails."""
        return self._transact(lambda database: database.execute(statement, values))

    def _transact(
        self, execute: Callable[[sqlite3.Connection], sqlite3.Cursor]
    ) -> list[tuple[object, ...]] | None:
        """Return the rows that come of a transaction; None if it fails."""
        try:
            with self._lock, self._database:
                return list(map(tuple, execute(self._database)))
        except sqlite3.OperationalError as error:  # Locked, or the disk is full.
            self._warn("cannot use the cache in %s: %s", error)
            return None
        except _DAMAGED:
            with self._lock:
                self._database.close()
                self._database = self._anew()
            return None

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


def _has_more_columns(database: sqlite3.Connection) -> bool:
    """Give the manifests the columns that are new; say whether that could be done."""
    try:
        for column in _NEW_COLUMNS:
            database.execute(f"ALTER TABLE manifests ADD COLUMN {column}")
    except sqlite3.OperationalError:  # There is no such table, or another process was killed here.
        return False
    return True


def _intact(checked: bytes) -> bytes | None:
    """Return the data behind its digest; None if that is another's."""
    digest, data = checked[:DIGEST_BYTES], checked[DIGEST_BYTES:]
    return data if blake3(data).digest() == digest else None


def _ctime(signature: Signature) -> str:
    return str(signature.ctime_ns or "")


def _has_left(place: bytes, signature: Signature) -> bool:
    """Say whether something is no longer where it was: nothing is, or another file."""
    try:
        status = os.stat(place)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return signature.mode != TREE_MODE and status.st_ino != signature.inode


def _title_statement(name: str, title: Title | None) -> tuple[str, tuple[object, ...]]:
    if title is None:
        return "DELETE FROM titles WHERE name = ?", (name,)
    values = (name, title.id, title.version, title.publisher, title.claims)
    return "REPLACE INTO titles VALUES (?, ?, ?, ?, ?)", values


def _connect(path: Path | str) -> sqlite3.Connection:
    return _prepared(sqlite3.connect(path, check_same_thread=False, timeout=5.0))


def _prepared(database: sqlite3.Connection) -> sqlite3.Connection:
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (known,) = database.execute("PRAGMA user_version").fetchone()
        if known != _FORMAT and not (known == _BEFORE and _has_more_columns(database)):
            database.execute("DROP TABLE IF EXISTS manifests")
        database.execute(f"PRAGMA user_version = {_FORMAT}")
        database.executescript(_SCHEMA)
        database.execute("SELECT count(*) FROM manifests, starts")
    except BaseException:
        database.close()
        raise
    return database

"""The tracker's records in an SQLite file. Knows nothing of what they mean."""

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from broker.records import (
    Change,
    DisownedRecord,
    DurableState,
    ForgetHolder,
    ForgetNode,
    ForgetVersion,
    HolderRecord,
    NodeRecord,
    NotSavedError,
    VersionRecord,
)
from protocol.errors import OperatorError

_log = logging.getLogger("shoal.tracker")

FORMAT = 1  # In user_version. A file of another format is set aside, not converted.
LOCK_TIMEOUT_S = 0.5  # A tracker that was just stopped is done with the file by then.
_MEMORY = ":memory:"

# The journal survives a killed process without an fsync for each commit; after a power cut the last
# moments may be missing, and the nodes announce them again.
_SETTINGS = """
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
"""
_SCHEMA = f"""
    BEGIN;
    CREATE TABLE nodes (
        node TEXT PRIMARY KEY, address TEXT NOT NULL, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, has_left INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE versions (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, id TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, announced_s INTEGER NOT NULL
    );
    CREATE TABLE holders (
        number INTEGER, node TEXT, complete INTEGER NOT NULL, PRIMARY KEY (number, node)
    ) WITHOUT ROWID;
    CREATE TABLE disowned (name TEXT, node TEXT, PRIMARY KEY (name, node)) WITHOUT ROWID;
    PRAGMA user_version = {FORMAT};
    COMMIT;
"""
_STATEMENTS: dict[type, str] = {
    NodeRecord: "REPLACE INTO nodes VALUES (?, ?, ?, ?, ?)",
    VersionRecord: "REPLACE INTO versions VALUES (?, ?, ?, ?, unixepoch() - ?)",
    HolderRecord: "REPLACE INTO holders VALUES (?, ?, ?)",
    DisownedRecord: "REPLACE INTO disowned VALUES (?, ?)",
    ForgetNode: "DELETE FROM nodes WHERE node = ?",
    ForgetVersion: "DELETE FROM versions WHERE number = ?",
    ForgetHolder: "DELETE FROM holders WHERE number = ? AND node = ?",
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}


class _DamagedError(Exception):
    """The file is a database, but not one of ours."""


class SqliteStore:
    """One database file, which no other process may use meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def load(self) -> DurableState:
        """Open the file, which need not exist, and return what was saved in it.

        A damaged file is set aside, and a new one begun. If there can be none, the tracker runs all
        the same, and remembers nothing over a restart (fault 64): nodes announce everything again.

        Raises OperatorError if another tracker uses the file.
        """
        try:
            return self._load(str(self._path))
        except (sqlite3.Error, OSError, _DamagedError) as error:
            problem = error
            self.close()
        if _code(problem) == sqlite3.SQLITE_BUSY:
            raise OperatorError(
                f"another tracker is running on {self._path}; "
                "stop it, or give this one a tracker.state_folder of its own"
            )
        try:
            if isinstance(problem, _DamagedError) or _code(problem) in _DAMAGED:
                aside = self._set_aside()
                _log.warning("%s is damaged (%s): kept as %s", self._path, problem, aside)
                return self._load(str(self._path))
        except (sqlite3.Error, OSError) as error:
            problem = error
            self.close()
        _log.warning(
            "%s cannot be used (%s): nothing will be remembered over a restart", self._path, problem
        )
        return self._load(_MEMORY)

    def apply(self, changes: Sequence[Change]) -> None:
        """Save all changes; raises NotSavedError if none is saved."""
        assert self._connection is not None, "load comes first"
        try:
            self._connection.execute("BEGIN")
            for change in changes:
                self._connection.execute(_STATEMENTS[type(change)], change)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise NotSavedError(str(error)) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _load(self, database: str) -> DurableState:
        if database != _MEMORY:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever serves may do so in another thread than the one that loads, but never two at once.
        connection = self._connection = sqlite3.connect(
            database, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.executescript(_SETTINGS)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (table_count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version == table_count == 0:
            connection.executescript(_SCHEMA)
        elif version != FORMAT:
            raise _DamagedError(f"its format is {version}, not {FORMAT}")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _DamagedError(verdict)
        return _state(connection)

    def _set_aside(self) -> Path:
        """Rename the file and its journal, so that somebody may look at them; return where to."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.corrupt-{number}")).exists():
            number += 1
        self._path.rename(aside)
        for suffix in ("-wal", "-shm"):
            journal = self._path.with_name(self._path.name + suffix)
            if journal.exists():
                journal.rename(aside.with_name(aside.name + suffix))
        return aside


def _state(connection: sqlite3.Connection) -> DurableState:
    nodes = connection.execute("SELECT node, address, epoch, sequence, has_left FROM nodes")
    versions = connection.execute(
        "SELECT number, name, id, size_bytes, max(0, unixepoch() - announced_s) "
        "FROM versions ORDER BY number"
    )
    holders = connection.execute("SELECT number, node, complete FROM holders")
    disowned = connection.execute("SELECT name, node FROM disowned")
    return DurableState(
        tuple(
            NodeRecord(node, address, epoch, sequence, bool(left))
            for node, address, epoch, sequence, left in nodes
        ),
        tuple(map(VersionRecord._make, versions)),
        tuple(HolderRecord(number, node, bool(complete)) for number, node, complete in holders),
        tuple(map(DisownedRecord._make, disowned)),
    )


def _code(error: Exception) -> int | None:
    """Return SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF

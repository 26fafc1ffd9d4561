"""The tracker's records in an SQLite file. Knows nothing of what they mean."""

import logging
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shoal.broker import rows, salvage
from shoal.broker.tracking.records import Change, DurableState, NotSavedError
from shoal.protocol.errors import OperatorError

_log = logging.getLogger("shoal.tracker")

LOCK_TIMEOUT_S = 0.5  # A tracker that was just stopped is done with the file by then.
_MEMORY = ":memory:"

# The journal survives a killed process without an fsync for each commit; after a power cut the last
# moments may be missing, and the nodes announce them again.
_SETTINGS = f"""
    PRAGMA page_size = {rows.PAGE_BYTES};
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
"""
_PROBE = f"BEGIN IMMEDIATE; PRAGMA user_version = {rows.FORMAT}; COMMIT;"
_SUFFIXES = ("", "-wal", "-shm")  # Of the database's own file, and of its journal's.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_TROUBLE = (sqlite3.Error, OSError, UnicodeDecodeError)  # The latter: an error that quotes damage.


class _DamagedError(Exception):
    """The file is a database, but not all of it is as we wrote it."""


class SqliteStore:
    """One database file, which no other process may use meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._unsaved = DurableState()  # What was read from a file that cannot be written.

    def load(self) -> DurableState:
        """Open the file, which need not exist, and return what was saved in it.

        If it is damaged, what can be read of it is put into a new file, and it is set aside. If it
        cannot be written, what it has is used all the same; `apply` then tries to open it again.

        Raises OperatorError if another tracker uses the file.
        """
        try:
            if self._path.exists() and not self._path.is_file():
                return self._begun_in_memory()
            state = self._opened()
        except (*_TROUBLE, _DamagedError) as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                self.close()
                raise OperatorError(
                    f"another tracker is running on {self._path}; "
                    "stop it, or give this one a tracker.state_folder of its own"
                ) from None
            return self._rescued(error)
        try:
            self._script(_PROBE)
        except sqlite3.Error as error:
            return self._rescued(error)
        return state

    def apply(self, changes: Sequence[Change]) -> None:
        """Save all changes; raises NotSavedError if none is saved."""
        if self._connection is None:
            self._reopen()
        self._save(changes)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _save(self, changes: Sequence[Change]) -> None:
        assert self._connection is not None, "load comes first"
        try:
            self._connection.execute("BEGIN")
            (now_s,) = self._connection.execute("SELECT unixepoch()").fetchone()
            for change in changes:
                self._connection.execute(*rows.statement(change, now_s))
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise NotSavedError(str(error)) from error

    def _opened(self) -> DurableState:
        """Open the file, or make it, and return what is in it, if that is all right."""
        connection = self._connect(str(self._path))
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _DamagedError(verdict)
        if _schema(connection) != _expected_schema():
            raise _DamagedError(f"it is not a database of format {rows.FORMAT}")
        (now_s,) = connection.execute("SELECT unixepoch()").fetchone()
        raw = {table: connection.execute(rows.selection(table)) for table in rows.TABLES}
        loaded = rows.state(raw, now_s)
        if loaded.left_out:
            raise _DamagedError("some rows fail their checksums")
        if loaded.orphans:
            with suppress(NotSavedError):
                self._save(loaded.orphans)
        return loaded.state

    def _connect(self, database: str) -> sqlite3.Connection:
        if database != _MEMORY:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        # Whoever serves may do so in another thread than the one that loads, but never two at once.
        connection = self._connection = sqlite3.connect(
            database, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = salvage.text
        connection.executescript(_SETTINGS)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (table_count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version == table_count == 0:
            connection.executescript(rows.SCHEMA)
        return connection

    def _script(self, statements: str) -> None:
        assert self._connection is not None, "it was opened just now"
        self._connection.executescript(statements)

    def _begun_in_memory(self) -> DurableState:
        _log.warning(
            "%s is not a regular file: nothing will be remembered over a restart", self._path
        )
        self._connect(_MEMORY)
        return DurableState()

    def _rescued(self, problem: Exception) -> DurableState:
        """Return what can be read of a file that could not be opened as it should be."""
        self.close()
        loaded = self._salvaged()
        if not _is_damage(problem) and not self._is_falsely_read_only(problem):
            return self._read_only(loaded.state, problem)
        try:
            aside = self._renewed(loaded.state)
        except (*_TROUBLE, NotSavedError) as error:
            return self._read_only(loaded.state, error)
        count = loaded.left_out + len(loaded.orphans)
        lost = (
            f"{count} rows were" if count > 1 else "1 row was" if count else "unreadable rows were"
        )
        _log.warning(
            "%s is damaged (%s): %s left out, and nodes will announce them again; kept as %s",
            self._path,
            " ".join(str(problem).split()),
            lost,
            aside,
        )
        return loaded.state

    def _read_only(self, state: DurableState, problem: Exception) -> DurableState:
        self.close()
        self._unsaved = state
        used = "" if state == DurableState() else "its contents are used, but "
        _log.warning(
            "%s cannot be written (%s): %snothing new will be remembered over a restart "
            "until it can be",
            self._path,
            problem,
            used,
        )
        return state

    def _reopen(self) -> None:
        """Open the file again, and save in it what was read before."""
        try:
            self._opened()
        except (*_TROUBLE, _DamagedError) as error:
            self.close()
            if not _is_damage(error):
                raise NotSavedError(str(error)) from error
        try:
            if self._connection is None:
                self._renewed(self._unsaved)
            else:
                self._save(_records(self._unsaved))
        except (*_TROUBLE, NotSavedError) as error:
            self.close()
            raise NotSavedError(str(error)) from error
        self._unsaved = DurableState()

    def _is_falsely_read_only(self, problem: Exception) -> bool:
        """Say whether nothing but a number in the file itself keeps SQLite from writing."""
        places = self._path, self._path.parent
        may_write = all(os.access(place, os.W_OK) for place in places)
        return _code(problem) == sqlite3.SQLITE_READONLY and may_write

    def _salvaged(self) -> rows.Loaded:
        try:
            raw, now_s = salvage.rows_in(self._path)
        except _TROUBLE:
            return rows.Loaded(DurableState(), 0, ())
        return rows.state(raw, now_s)

    def _renewed(self, state: DurableState) -> Path:
        """Set the file aside, begin a new one with these records; return where the old one is.

        If there is no room for the new one, the old one stays: it is all that outlasts a restart.
        """
        aside = self._set_aside()
        try:
            self._connect(str(self._path))
            self._save(_records(state))
        except BaseException:
            self.close()
            self._put_back(aside)
            raise
        return aside

    def _put_back(self, aside: Path) -> None:
        for suffix in _SUFFIXES:
            old, new = (place.with_name(place.name + suffix) for place in (aside, self._path))
            if old.exists():
                old.replace(new)
            else:
                new.unlink(missing_ok=True)

    def _set_aside(self) -> Path:
        """Rename the file and its journal, so that somebody may look at them; return where to."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.corrupt-{number}")).exists():
            number += 1
        for suffix in _SUFFIXES:
            file = self._path.with_name(self._path.name + suffix)
            if not suffix or file.exists():
                file.rename(aside.with_name(aside.name + suffix))
        return aside


def _records(state: DurableState) -> list[Change]:
    return [*state.nodes, *state.versions, *state.holders, *state.disowned]


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY rootpage").fetchall()


def _expected_schema() -> list[tuple[str, str]]:
    connection = sqlite3.connect(_MEMORY)
    try:
        connection.executescript(rows.SCHEMA)
        return _schema(connection)
    finally:
        connection.close()


def _is_damage(problem: Exception) -> bool:
    return isinstance(problem, _DamagedError | UnicodeDecodeError) or _code(problem) in _DAMAGED


def _code(error: Exception) -> int | None:
    """Return SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF

"""The tracker's log in an SQLite file: the last change of each key."""

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from shoal.broker import rows, salvage
from shoal.broker.pruning import Most, prune
from shoal.broker.serials import Serials
from shoal.broker.stores import NOTHING, Exchanged, NotSavedError
from shoal.broker.tracking.changes import (
    Change,
    Dropped,
    Gone,
    Held,
    Published,
    Renewed,
    Unwished,
    Wished,
    Withdrawn,
)
from shoal.protocol.errors import UnavailableError

_log = logging.getLogger("shoal.tracker")

LOCK_TIMEOUT_S = 0.5  # A tracker that was just stopped is done with the file by then.
_MEMORY = ":memory:"

# The journal survives a killed process without an fsync for each commit. After a power cut, the
# last moments may be missing; the nodes announce them again. Nobody does so with pushes: a commit
# that has one waits for the disk.
_SETTINGS = f"""
    PRAGMA page_size = {rows.PAGE_BYTES};
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
"""
_SUFFIXES = ("", "-wal", "-shm")  # Of the database and its journal.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}
_TROUBLE = (
    sqlite3.Error,
    OSError,
    UnicodeDecodeError,
)  # The last: an error message that quotes damage.


class _DamagedError(Exception):
    """The file is a database, but not as we wrote it."""


class SqliteStore:
    """One database file, locked against other processes."""

    is_shared = False

    def __init__(self, path: Path, most: Most | None = None) -> None:
        """`most` is what the file may have in it when it is read."""
        self._path = path
        self._most = most
        self._connection: sqlite3.Connection | None = None
        self._serials = Serials({})
        self._unsaved: Sequence[Change] = ()  # The log in a file that cannot be written.

    def load(self) -> Sequence[Change]:
        """Open the file, which need not exist, and return the log that was saved in it.

        A damaged file is set aside, and whatever can be read of it goes into a new one. A file that
        cannot be written is used all the same; `exchange` then tries to open it again.

        Raises UnavailableError if another tracker uses the file.
        """
        try:
            if self._path.exists() and not self._path.is_file():
                return self._begun_in_memory()
            self._connect(str(self._path))
            log = self._read()
        except (*_TROUBLE, _DamagedError) as error:
            if _code(error) == sqlite3.SQLITE_BUSY:
                self.close()
                raise UnavailableError(
                    f"another tracker is running on {self._path}; "
                    "stop it, or give this one a tracker.state_folder of its own"
                ) from None
            return self._rescued(error)
        try:
            self._probe()
        except sqlite3.Error as error:
            return self._rescued(error)
        return log

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:  # noqa: ARG002 (as Store has it)
        """Save all changes; raises NotSavedError if none is saved."""
        if self._connection is None:
            self._reopen()
        self._save(changes)
        return NOTHING

    def trouble(self) -> str:
        """Return why nothing can be read from the file now; empty if it can. For its thread."""
        try:
            if self._connection is not None:
                self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.Error as error:
            return str(error)
        return "" if self._connection is not None else "it cannot be opened"

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _save(self, changes: Sequence[Change]) -> None:
        waits = any(isinstance(change, Wished | Unwished) for change in changes)
        with self._transaction(waits_for_disk=waits) as connection:
            (now_s,) = connection.execute("SELECT unixepoch()").fetchone()
            for change in changes:
                statement = self._statement(connection, change, now_s)
                if statement is not None:
                    connection.execute(*statement)

    def _statement(
        self, connection: sqlite3.Connection, change: Change, now_s: int
    ) -> rows.Statement | None:
        """Return what saves a change; None if it is about something that is not in the file."""
        match change:
            case Held() | Withdrawn():
                serial = self._serials.find((change.name, change.id))
                return rows.statement(change, serial, now_s) if serial else None
            case Published():
                serial = self._serials.allot((change.name, change.id))
                return rows.statement(change, serial, now_s)
            case Dropped():
                serial = self._serials.drop((change.name, change.id))
                return rows.statement(change, serial, now_s)
            case Gone():
                query = f"{rows.selection('nodes')} WHERE node = ?"
                row = connection.execute(query, (change.node,)).fetchone()
                return None if row is None else rows.silenced(change, row, now_s)
            case _:
                return rows.statement(change, 0, now_s)

    @contextmanager
    def _transaction(self, *, waits_for_disk: bool = False) -> Iterator[sqlite3.Connection]:
        """Save everything that is executed within it, or raise NotSavedError."""
        connection = self._connection
        assert connection is not None, "load comes first"
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if waits_for_disk else 'NORMAL'}")
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back(connection)
            raise NotSavedError(str(error)) from error
        self._serials.commit()

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        """Undo what is not committed; if that fails too, have `exchange` open it anew."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()
        self._serials.roll_back()

    def _connect(self, database: str) -> None:
        """Open the file, or create it."""
        if database != _MEMORY:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        # The thread that saves may not be the one that loads; but there is never more than one.
        connection = self._connection = sqlite3.connect(
            database, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = salvage.text
        connection.executescript(_SETTINGS)
        (table_count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if _format(connection) == table_count == 0:
            connection.executescript(rows.SCHEMA)
        self._serials = Serials({})

    def _probe(self) -> None:
        """Write one page, unchanged: raises sqlite3.Error if the disk is full or read-only."""
        assert self._connection is not None, "it was opened just now"
        version = _format(self._connection)
        self._connection.executescript(f"BEGIN IMMEDIATE; PRAGMA user_version = {version}; COMMIT;")

    def _read(self) -> Sequence[Change]:
        """Return the log, if the file is intact."""
        connection = self._connection
        assert connection is not None, "it was opened just now"
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise _DamagedError(verdict)
        while (older := rows.MIGRATIONS.get(_format(connection))) is not None:
            connection.executescript(older)
        if (version := _format(connection)) != rows.FORMAT:
            raise _DamagedError(f"its format is {version}, not {rows.FORMAT}")
        if _schema(connection) != _expected_schema():
            raise _DamagedError("its tables are not a tracker's")
        self._prune(connection)
        (now_s,) = connection.execute("SELECT unixepoch()").fetchone()
        raw = {table: connection.execute(rows.selection(table)) for table in rows.TABLES}
        loaded = rows.log(raw, now_s)
        if loaded.left_out:
            raise _DamagedError("some rows fail their checksums")
        self._serials = Serials(loaded.serials)
        if loaded.orphans:
            with suppress(NotSavedError), self._transaction():
                for orphan in loaded.orphans:
                    connection.execute(*rows.withdrawal(*orphan))
        return loaded.log

    def _prune(self, connection: sqlite3.Connection) -> None:
        if self._most is not None and prune(connection, self._most):
            _log.warning("%s had more than may be in it: forgot the strangers", self._path)

    def _begun_in_memory(self) -> Sequence[Change]:
        _log.warning(
            "%s is not a regular file: nothing will be remembered across restarts", self._path
        )
        self._connect(_MEMORY)
        return ()

    def _rescued(self, problem: Exception) -> Sequence[Change]:
        """Return what can be read of a file that cannot be used as it is."""
        self.close()
        loaded = self._salvaged()
        if not _is_damage(problem) and not self._is_falsely_read_only(problem):
            return self._read_only(loaded.log, problem)
        try:
            aside = self._renewed(loaded.log)
        except (*_TROUBLE, NotSavedError) as error:
            return self._read_only(loaded.log, error)
        count = loaded.left_out + len(loaded.orphans)
        lost = f"{count} rows" if count > 1 else "1 row" if count else "any unreadable rows"
        _log.warning(
            "%s is damaged (%s); dropped %s, which nodes will announce again; kept as %s",
            self._path,
            " ".join(str(problem).split()),
            lost,
            aside,
        )
        return loaded.log

    def _read_only(self, log: Sequence[Change], problem: Exception) -> Sequence[Change]:
        self.close()
        self._unsaved = log
        used = "its contents are used, but " if log else ""
        _log.warning(
            "%s cannot be written (%s): %snothing new will be remembered across restarts "
            "until it can be",
            self._path,
            problem,
            used,
        )
        return log

    def _reopen(self) -> None:
        """Open the file again, and save whatever was read before and is not in it.

        Probes the file first: a disk may stay full for hours, and reading a large file every few
        seconds would slow down everybody.
        """
        missing: Sequence[Change] | None = None
        try:
            self._connect(str(self._path))
            self._probe()
            missing = _missing(self._unsaved, self._read())
        except (*_TROUBLE, _DamagedError) as error:
            self.close()
            if not _is_damage(error):
                raise NotSavedError(str(error)) from error
        try:
            if missing is None:
                self._renewed(self._unsaved)
            else:
                self._save(missing)
        except (*_TROUBLE, NotSavedError) as error:
            self.close()
            raise NotSavedError(str(error)) from error
        self._unsaved = ()

    def _is_falsely_read_only(self, problem: Exception) -> bool:
        """Say whether SQLite refuses to write only because of a number in the file itself."""
        places = self._path, self._path.parent
        may_write = all(os.access(place, os.W_OK) for place in places)
        return _code(problem) == sqlite3.SQLITE_READONLY and may_write

    def _salvaged(self) -> rows.Loaded:
        try:
            raw, now_s = salvage.rows_in(self._path)
        except _TROUBLE:
            return rows.Loaded((), {}, 0, ())
        return rows.log(raw, now_s)

    def _renewed(self, log: Sequence[Change]) -> Path:
        """Set the file aside and start a new one with this log; return where the old one is.

        If there is no room for the new one, the old one stays: it is all that outlasts a restart.
        """
        aside = self._set_aside()
        try:
            self._connect(str(self._path))
            self._save(log)
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
        """Rename the file and its journal, so that they can be examined; return the new path."""
        number = 1
        while (aside := self._path.with_name(f"{self._path.name}.corrupt-{number}")).exists():
            number += 1
        for suffix in _SUFFIXES:
            file = self._path.with_name(self._path.name + suffix)
            if not suffix or file.exists():
                file.rename(aside.with_name(aside.name + suffix))
        return aside


def _missing(log: Sequence[Change], saved: Sequence[Change]) -> list[Change]:
    """Return what is in a log and not saved. Ages depend on when they were read."""
    known = set(map(_timeless, saved))
    return [change for change in log if _timeless(change) not in known]


def _timeless(change: Change) -> Change:
    match change:
        case Published() | Wished():
            return msgspec.structs.replace(change, age_s=0)
        case Gone():
            return msgspec.structs.replace(change, silent_s=0)
        case _:
            return change


def _format(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _schema(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


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

"""A disk that fails so badly that nothing can be undone; and when to wait for it."""

import functools
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import NotSavedError
from shoal.broker.tracking.changes import Unwished, Wished

from tests.unit.broker.test_sqlite_store import N1, N2, loaded


class Failing(sqlite3.Connection):
    refuses: tuple[str, ...] = ()

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql in self.refuses:
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *values)


def test_the_file_is_opened_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the ROLLBACK ended the tracker."""
    path, after = tmp_path / "tracker.db", msgspec.structs.replace(N1, sequence=99)
    monkeypatch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Failing))
    store = SqliteStore(path)
    store.load()
    store.exchange([N1])
    monkeypatch.setattr(Failing, "refuses", ("COMMIT", "ROLLBACK"))
    with pytest.raises(NotSavedError, match="disk I/O error"):
        store.exchange([after])
    monkeypatch.setattr(Failing, "refuses", ())
    assert list(loaded(path)) == [N1]
    store.exchange([after])
    store.close()
    assert list(loaded(path)) == [after]


def test_a_commit_with_a_push_waits_for_the_disk(tmp_path: Path) -> None:
    """All else is announced again by nodes, if power is lost."""
    store = SqliteStore(tmp_path / "tracker.db")
    store.load()
    connection = store._connection
    assert connection is not None
    waits = []
    for change in (Wished("a", "b3:" + 64 * "0", 1), N1, Unwished("a"), N2):
        store.exchange([change])
        waits.append(connection.execute("PRAGMA synchronous").fetchone() == (2,))
    assert waits == [True, False, True, False]
    store.close()

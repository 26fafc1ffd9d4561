"""Databases with flipped bits and lost pages, in real files: what can be read is read."""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from shoal.broker import rows, salvage
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.tracking.changes import Change, Disowned, Held, Seen

from tests.unit.broker.scene import content_id
from tests.unit.broker.test_sqlite_store import EVERYTHING, SEEDS, loaded, save, timeless

NODES = [Seen(f"n{n}", f"tcp://127.0.0.1:{11000 + n}", n, n) for n in range(30)]
VERSIONS = [
    msgspec.structs.replace(SEEDS, name=f"file{n}", id=content_id(n)) for n in range(1, 30)
]  # Of SEEDS each has the age 0: the clock does not tell them apart.
HOLDERS = [
    Held(version.name, version.id, node.node, complete=True)
    for version in VERSIONS
    for node in NODES
]
SMALL: list[Change] = [*EVERYTHING, Disowned("seeds.txt", "n3")]
LARGE: list[Change] = [*NODES, *VERSIONS, *HOLDERS]


def salvaged(path: Path) -> set[Change]:
    """Return the changes that can be read, without their ages."""
    return set(map(timeless, rows.log(*salvage.rows_in(path)).log))


def of_kind(kind: type, log: Iterable[Change]) -> set[Change]:
    return {change for change in log if isinstance(change, kind)}


def flips(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield places and bits: the bytes that are not zero, and some that are or are in page 1."""
    for offset, byte in enumerate(content):
        if offset % 61 == 0 or (byte and (offset > rows.PAGE_BYTES or offset % 5 == 3)):
            yield offset, 1 << offset % 8


def test_a_flipped_bit_anywhere_costs_next_to_nothing_and_never_makes_a_wrong_row(
    memory_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = memory_path / "whole.db"
    save(whole, SMALL)
    content = whole.read_bytes()
    path = memory_path / "tracker.db"
    for offset, bit in flips(content):
        damaged = bytearray(content)
        damaged[offset] ^= bit
        path.write_bytes(damaged)
        caplog.clear()
        log = set(loaded(path))
        missing = set(SMALL) - log
        assert log <= set(SMALL), offset
        assert len(caplog.messages) == (path.with_name("tracker.db.corrupt-1").exists()), offset
        if offset < rows.PAGE_BYTES:
            assert not missing, offset  # The first page says nothing that we do not know.
        elif not missing_is_one_row(missing):
            assert "malformed" in caplog.text or "in database" in caplog.text, offset
        path.with_name("tracker.db.corrupt-1").unlink(missing_ok=True)


def missing_is_one_row(missing: set[Change]) -> bool:
    """Say whether one row is missing, which may be two changes, or one and its holders."""
    return (
        len({getattr(change, "node", change) for change in missing - of_kind(Held, missing)}) <= 1
    )


def test_one_damaged_row_costs_one_row(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(path, LARGE)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"tcp://127.0.0.1:11007", b"tcp://127.0.0.1:11008"))
    log = loaded(path)
    of_n7 = {change for change in LARGE if isinstance(change, Seen | Held) and change.node == "n7"}
    assert set(LARGE) - set(log) == of_n7
    (warning,) = caplog.messages
    assert "dropped 30 rows, which nodes will announce again" in warning
    caplog.clear()
    assert loaded(path) == log
    assert caplog.messages == []


@pytest.mark.parametrize("page", range(1, 12))
def test_a_lost_page_costs_its_own_rows(path: Path, page: int) -> None:
    save(path, LARGE)
    content = bytearray(path.read_bytes())
    content[rows.PAGE_BYTES * (page - 1) : rows.PAGE_BYTES * page] = b"\xff" * rows.PAGE_BYTES
    path.write_bytes(content)
    found = set(loaded(path))
    assert found <= set(LARGE)
    if page == 1:
        assert found == set(LARGE)


def test_of_a_table_without_its_root_the_others_remain(path: Path) -> None:
    save(path, LARGE)
    content = bytearray(path.read_bytes())
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'holders'"
        ).fetchone()
    connection.close()
    content[rows.PAGE_BYTES * (root - 1) : rows.PAGE_BYTES * root] = bytes(rows.PAGE_BYTES)
    path.write_bytes(content)
    assert {*NODES, *VERSIONS} <= set(loaded(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tracker.db"


def killed(path: Path, changes: list[Change]) -> Path:
    """Return a copy of the files as they are when the process dies after saving."""
    store = SqliteStore(path)
    store.load()
    for change in changes:
        store.exchange([change])
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", f"{copy}-wal")
    store.close()
    return copy


def test_reads_changes_that_are_only_in_the_journal(path: Path) -> None:
    copy = killed(path, EVERYTHING)
    assert salvaged(copy)
    copy.write_bytes(b"\xff" * rows.PAGE_BYTES)  # No page of it is needed.
    assert salvaged(copy) == set(EVERYTHING)
    assert set(loaded(copy)) == set(EVERYTHING)


def test_skips_incomplete_transactions_in_the_journal(path: Path) -> None:
    copy = killed(path, EVERYTHING)
    journal = copy.with_name("copy.db-wal")
    content = journal.read_bytes()
    for size in range(0, len(content), 1000):
        journal.write_bytes(content[:size])
        assert salvaged(copy) <= set(EVERYTHING)
        assert rows.log(*salvage.rows_in(copy)).left_out == 0
    for offset in range(0, len(content), 997):
        journal.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        assert salvaged(copy) <= set(EVERYTHING)
    for magic in (b"\0\0\0\0", content[:8] + b"\0\0\1\0"):
        journal.write_bytes(magic + content[len(magic) :])
        assert rows.log(*salvage.rows_in(copy)).left_out == 0


def test_a_foreign_file_has_no_rows(path: Path) -> None:
    for content in (b"", b"x" * 100, b"\x00" * 9000, b"\x0d" * 50_000):
        path.write_bytes(content)
        assert salvaged(path) == set()


def frames_of(journal: Path) -> int:
    return (journal.stat().st_size - 32) // (24 + rows.PAGE_BYTES)


def test_a_transaction_is_read_whole_or_not_at_all(path: Path) -> None:
    store = SqliteStore(path)
    store.load()
    store.exchange(LARGE)
    copy, journal = path.with_name("copy.db"), path.with_name("copy.db-wal")
    shutil.copy(path, copy)
    shutil.copy(f"{path}-wal", journal)
    store.close()
    assert frames_of(journal) > 5
    assert salvaged(copy) == set(LARGE)
    with journal.open("r+b") as cut:
        cut.truncate(journal.stat().st_size - rows.PAGE_BYTES)
    assert salvaged(copy) == set()


@pytest.mark.parametrize("offset", [8, 16, 24], ids=["salt", "checksum", "page"])
def test_a_frame_that_is_not_of_this_journal_is_not_read(path: Path, offset: int) -> None:
    copy = killed(path, [SEEDS, msgspec.structs.replace(SEEDS, number=7)])
    journal = copy.with_name("copy.db-wal")
    content = bytearray(journal.read_bytes())
    content[-rows.PAGE_BYTES - 24 + offset] ^= 1  # In the last frame, which says v7.
    journal.write_bytes(content)
    assert salvaged(copy) == {SEEDS}


def test_rows_between_two_lost_pages_are_found_by_key(path: Path) -> None:
    nodes = [Seen(f"{n:03}", "tcp://" + "h" * 200 + ":11001", n, n) for n in range(200)]
    version = SEEDS.name, SEEDS.id
    save(path, [*nodes, SEEDS, *(Held(*version, one.node, complete=True) for one in nodes)])
    content = bytearray(path.read_bytes())
    places = range(0, len(content), rows.PAGE_BYTES)
    leaves = [at for at in places if content[at : at + rows.PAGE_BYTES].count(b"h" * 200) > 5]
    assert len(leaves) > 6
    for leaf in (leaves[1], leaves[-2]):
        content[leaf : leaf + rows.PAGE_BYTES] = b"\xff" * rows.PAGE_BYTES
    path.write_bytes(content)
    assert len(of_kind(Seen, loaded(path))) > 200 * (len(leaves) - 4) / len(leaves)


def test_a_damaged_schema_is_replaced(path: Path) -> None:
    save(path, EVERYTHING)
    path.write_bytes(path.read_bytes().replace(b"size_bytes INTEGER", b"size_bytes INTEGES"))
    assert set(loaded(path)) == set(EVERYTHING)
    assert b"INTEGES" not in path.read_bytes()


def test_holders_without_a_version_do_not_come_to_hold_the_next(path: Path) -> None:
    save(path, [NODES[1], SEEDS, Held(SEEDS.name, SEEDS.id, "n1", complete=True)])
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM versions")
    connection.close()
    assert loaded(path) == [NODES[1]]
    save(path, [SEEDS])
    assert loaded(path) == [NODES[1], SEEDS]

"""The tracker's records, in real files."""

import dataclasses
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.tracking.records import (
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

from tests.unit.broker.scene import content_id

N1 = NodeRecord("n1", "tcp://127.0.0.1:11001", 1, 5, left=False)
N2 = NodeRecord("n2", "tcp://127.0.0.1:11002", 2**53, 2**53, left=True)
SEEDS = VersionRecord(1, "seeds.txt", content_id(1), 2**45, 0, 2**53, "n9")
NET = VersionRecord(7, "ü.txt", content_id(2), 0, age_s=0)
HELD = HolderRecord(1, "n1", complete=True)
PARTLY_HELD = HolderRecord(7, "n2", complete=False)
DISOWNED = DisownedRecord("net.txt", "n3")
EVERYTHING: list[Change] = [N2, N1, SEEDS, NET, PARTLY_HELD, HELD, DISOWNED]
EVERYTHING_LOADED = DurableState((N1, N2), (SEEDS, NET), (HELD, PARTLY_HELD), (DISOWNED,))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tracker.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.load()
    yield store
    store.close()


def loaded(path: Path) -> DurableState:
    store = SqliteStore(path)
    try:
        return store.load()
    finally:
        store.close()


def undated(state: DurableState) -> DurableState:
    """Return a state without its versions' ages: they depend on when it was read."""
    ageless = tuple(version._replace(age_s=0) for version in state.versions)
    return dataclasses.replace(state, versions=ageless)


def save(path: Path, changes: Sequence[Change]) -> None:
    store = SqliteStore(path)
    store.load()
    store.apply(changes)
    store.close()


def test_a_new_file_is_empty(path: Path) -> None:
    assert loaded(path) == DurableState()
    assert path.exists()


def test_gives_back_what_was_saved(path: Path, store: SqliteStore) -> None:
    store.apply(EVERYTHING)
    store.close()
    assert undated(loaded(path)) == EVERYTHING_LOADED


def test_a_record_takes_the_place_of_the_one_with_its_key(path: Path, store: SqliteStore) -> None:
    store.apply(EVERYTHING)
    later_n1, later_held = N1._replace(sequence=6, left=True), HELD._replace(complete=False)
    store.apply([later_n1, later_held, DISOWNED])
    store.close()
    assert undated(loaded(path)) == DurableState(
        (later_n1, N2), (SEEDS, NET), (later_held, PARTLY_HELD), (DISOWNED,)
    )


def test_forgets(path: Path, store: SqliteStore) -> None:
    store.apply(EVERYTHING)
    store.apply([ForgetHolder(1, "n1"), ForgetVersion(1), ForgetNode("n1")])
    store.close()
    assert undated(loaded(path)) == DurableState((N2,), (NET,), (PARTLY_HELD,), (DISOWNED,))


def test_an_age_grows_while_it_is_kept(path: Path) -> None:
    set_clock_back(path, 1000)
    assert 1100 <= loaded(path).versions[0].age_s <= 1110


def test_an_age_is_never_negative_though_the_clock_was_set_back(path: Path) -> None:  # fault 74
    set_clock_back(path, -100_000)
    assert loaded(path).versions[0].age_s == 0


def set_clock_back(path: Path, seconds: int) -> None:
    """Have a version that was 100 s old saved on a clock that showed so much less."""
    save(path, [SEEDS._replace(age_s=100 + seconds)])


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to be looked at" * 100, b"\x00" * 8192],
    ids=["text", "zeros"],
)
def test_a_file_that_is_no_database_is_set_aside(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:  # fault 64
    for number in (1, 2):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        save(path, EVERYTHING)
        aside = path.with_name(f"tracker.db.corrupt-{number}")
        assert aside.read_bytes() == content
        assert caplog.messages[-1].endswith(f"kept as {aside}")
        assert undated(loaded(path)) == EVERYTHING_LOADED


def test_of_a_damaged_page_only_its_rows_are_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fault 64
    many = [SEEDS._replace(serial=number, name=f"{number}" * 50) for number in range(1, 500)]
    save(path, many)
    content = bytearray(path.read_bytes())
    content[4096 * 10 : 4096 * 12] = b"\xff" * 8192
    path.write_bytes(content)
    state = undated(loaded(path))
    assert set(state.versions) < set(many)
    assert len(state.versions) > 400
    (warning,) = caplog.messages
    assert "is damaged" in warning
    assert "nodes will announce them again" in warning
    assert path.with_name("tracker.db.corrupt-1").read_bytes() == content
    assert undated(loaded(path)) == state
    assert len(caplog.messages) == 1


def test_another_programs_database_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE nodes (something)")
    connection.close()
    assert loaded(path) == DurableState()
    assert path.with_name("tracker.db.corrupt-1").exists()


def test_a_second_tracker_on_the_same_state_is_refused(
    path: Path, store: SqliteStore
) -> None:  # fault 64
    program = (
        "import sys; from pathlib import Path; from shoal.broker.sqlite_store import SqliteStore\n"
        "SqliteStore(Path(sys.argv[1])).load()"
    )
    second = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert "OperatorError: another tracker is running on" in second.stderr
    store.apply(EVERYTHING)


def test_without_a_disk_the_tracker_runs_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fault 64
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / "file" / "tracker.db")
    assert store.load() == DurableState()
    with pytest.raises(NotSavedError):
        store.apply(EVERYTHING)
    (tmp_path / "file").unlink()  # And now there is one.
    store.apply(EVERYTHING)
    store.close()
    assert undated(loaded(tmp_path / "file" / "tracker.db")) == EVERYTHING_LOADED
    (warning,) = caplog.messages
    assert "nothing new will be remembered over a restart until it can be" in warning


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "tracker.db")
    store = SqliteStore(tmp_path / "tracker.db")
    assert store.load() == DurableState()
    store.apply(EVERYTHING)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["tracker.db"]
    (warning,) = caplog.messages
    assert "is not a regular file: nothing will be remembered over a restart" in warning


def test_a_link_to_nowhere_costs_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tracker.db").symlink_to("/nonexistent/tracker.db")
    assert loaded(tmp_path / "tracker.db") == DurableState()
    assert len(caplog.messages) == 1


def test_a_full_disk_saves_nothing_and_loses_nothing(
    path: Path, store: SqliteStore
) -> None:  # fault 64
    store.apply([N1])
    connection = store._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 8")
    many = [SEEDS._replace(serial=number, name="x" * 4000) for number in range(1, 100)]
    with pytest.raises(NotSavedError, match="full"):
        store.apply([N2, *many])
    connection.execute("PRAGMA max_page_count = 1000000")
    store.apply([SEEDS])
    store.close()
    assert undated(loaded(path)) == DurableState((N1,), (SEEDS,))


WRITER = """
import sys
from pathlib import Path
from shoal.broker.tracking.records import HolderRecord, NodeRecord, VersionRecord
from shoal.broker.sqlite_store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
number = max((version.serial for version in store.load().versions), default=0)
store.apply([NodeRecord("n1", "tcp://127.0.0.1:11001", 1, 1, False)])
while True:
    number += 1
    version = VersionRecord(number, f"file{number}", f"b3:{number:064x}", 10, 0)
    store.apply([version, HolderRecord(number, "n1", True)])
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:  # fault 56
    acknowledged = 0
    for round_number in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            for _ in range(1 + 17 * round_number):
                acknowledged = int(writer.stdout.readline())
            os.kill(writer.pid, signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, writer.stdout.read().split("\n")[:-1])])
        state = loaded(path)
        numbers = [version.serial for version in state.versions]
        assert numbers == [holder.serial for holder in state.holders]
        assert numbers == list(range(1, len(numbers) + 1))
        assert acknowledged <= len(numbers) <= acknowledged + 1
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

"""The tracker's records, in real files."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import NotSavedError
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Entrusted,
    Forgotten,
    Gone,
    Held,
    Published,
    Seen,
    Withdrawn,
)

from tests.unit.broker.scene import content_id

N1 = Seen("n1", "tcp://127.0.0.1:11001", 1, 5)
N2 = Seen("n2", "tcp://127.0.0.1:11002", 2**53, 2**53)
N2_LEFT = Gone("n2", left=True)
SEEDS = Published("seeds.txt", content_id(1), 2**45, 2**53, "n9")
NET = Published("ü.txt", content_id(2), 0)
HELD = Held("seeds.txt", content_id(1), "n1", complete=True)
PARTLY_HELD = Held("ü.txt", content_id(2), "n2", complete=False)
DISOWNED = Disowned("net.txt", "n3")
TOKENS = Entrusted("n1", "7c0f")
EVERYTHING: list[Change] = [N2, N2_LEFT, N1, TOKENS, SEEDS, NET, PARTLY_HELD, HELD, DISOWNED]
EVERYTHING_LOADED: list[Change] = [
    *(N1, N2, N2_LEFT, SEEDS, NET),
    *(HELD, PARTLY_HELD, DISOWNED, TOKENS),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tracker.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.load()
    yield store
    store.close()


def loaded(path: Path) -> list[Change]:
    """Return the log that is saved, without its ages: they depend on when it was read."""
    return [timeless(change) for change in as_loaded(path)]


def as_loaded(path: Path) -> Sequence[Change]:
    store = SqliteStore(path)
    try:
        return store.load()
    finally:
        store.close()


def timeless(change: Change) -> Change:
    if isinstance(change, Published):
        return msgspec.structs.replace(change, age_s=0)
    if isinstance(change, Gone):
        return msgspec.structs.replace(change, silent_s=0)
    return change


def save(path: Path, changes: Sequence[Change]) -> None:
    store = SqliteStore(path)
    store.load()
    store.exchange(changes)
    store.close()


def test_a_new_file_is_empty(path: Path) -> None:
    assert loaded(path) == []
    assert path.exists()


def test_gives_back_what_was_saved(path: Path, store: SqliteStore) -> None:
    store.exchange(EVERYTHING)
    store.close()
    assert loaded(path) == EVERYTHING_LOADED


def test_a_change_replaces_the_one_with_its_key(path: Path, store: SqliteStore) -> None:
    store.exchange(EVERYTHING)
    seen_later = msgspec.structs.replace(N1, sequence=6)
    held_later = msgspec.structs.replace(HELD, complete=False)
    renumbered = msgspec.structs.replace(SEEDS, number=7, publisher="n1")
    store.exchange([seen_later, Gone("n1", left=False), held_later, renumbered, N2, DISOWNED])
    store.close()
    assert loaded(path) == [
        *(N2, seen_later, Gone("n1", left=False)),
        *(renumbered, NET, held_later, PARTLY_HELD, DISOWNED, TOKENS),
    ]


def test_forgets(path: Path, store: SqliteStore) -> None:
    store.exchange(EVERYTHING)
    version = SEEDS.name, SEEDS.id
    store.exchange([Withdrawn(*version, "n1"), Dropped(*version), Forgotten("n1")])
    store.close()
    assert loaded(path) == [N2, N2_LEFT, NET, PARTLY_HELD, DISOWNED]


def test_a_version_that_was_forgotten_comes_after_those_that_were_not(
    path: Path, store: SqliteStore
) -> None:
    store.exchange([SEEDS, NET])
    store.exchange([Dropped(SEEDS.name, SEEDS.id), SEEDS])
    store.close()
    assert loaded(path) == [NET, SEEDS]


def test_changes_about_things_that_were_never_saved_are_skipped(
    path: Path, store: SqliteStore
) -> None:
    """Of the changes that wait while a disk is full, the first may be given up."""
    version = NET.name, NET.id
    store.exchange([N1, SEEDS, Held(*version, "n1", complete=True), Gone("n7", left=True), HELD])
    store.exchange([Withdrawn(*version, "n1"), Dropped(*version)])
    store.close()
    assert loaded(path) == [N1, SEEDS, HELD]


def test_an_age_grows_while_it_is_kept(path: Path) -> None:
    set_clock_back(path, 1000)
    assert all(1100 <= age_s <= 1110 for age_s in ages(path))


def test_an_age_is_never_negative_though_the_clock_was_set_back(path: Path) -> None:
    set_clock_back(path, -100_000)
    assert ages(path) == [0, 0]


def set_clock_back(path: Path, seconds: int) -> None:
    """Save a version and a silence 100 s old, on a clock that then showed so much less."""
    age_s = 100 + seconds
    save(path, [N2, Gone("n2", left=False, silent_s=age_s), Published("a", content_id(1), 1)])
    save(path, [Published("a", content_id(1), 1, age_s=age_s)])


def ages(path: Path) -> list[int]:
    log = as_loaded(path)
    silences = [change.silent_s for change in log if isinstance(change, Gone)]
    return silences + [change.age_s for change in log if isinstance(change, Published)]


def test_silent_nodes_come_in_the_order_in_which_they_fell_silent(
    path: Path, store: SqliteStore
) -> None:
    nodes = [Seen(node, "tcp://127.0.0.1:11001", 1, 1) for node in ("n1", "n2", "n3")]
    silences = [Gone("n1", left=False, silent_s=50), Gone("n3", left=True, silent_s=90)]
    store.exchange([*nodes, *silences])
    store.close()
    assert [change.node for change in as_loaded(path) if isinstance(change, Gone)] == ["n3", "n1"]


@pytest.mark.parametrize(
    "content",
    [b"not a database at all, but long enough to be looked at" * 100, b"\x00" * 8192],
    ids=["text", "zeros"],
)
def test_a_file_that_is_no_database_is_set_aside(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        save(path, EVERYTHING)
        aside = path.with_name(f"tracker.db.corrupt-{number}")
        assert aside.read_bytes() == content
        assert caplog.messages[-1].endswith(f"kept as {aside}")
        assert loaded(path) == EVERYTHING_LOADED


def test_of_a_damaged_page_only_its_rows_are_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many = [msgspec.structs.replace(SEEDS, name=f"{number}" * 50) for number in range(1, 500)]
    save(path, many)
    content = bytearray(path.read_bytes())
    content[4096 * 10 : 4096 * 12] = b"\xff" * 8192
    path.write_bytes(content)
    log = loaded(path)
    assert set(log) < set(many)
    assert len(log) > 400
    (warning,) = caplog.messages
    assert "is damaged" in warning
    assert "which nodes will announce again" in warning
    assert path.with_name("tracker.db.corrupt-1").read_bytes() == content
    assert loaded(path) == log
    assert len(caplog.messages) == 1


def test_another_programs_database_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE nodes (something)")
    connection.close()
    assert loaded(path) == []
    assert path.with_name("tracker.db.corrupt-1").exists()


WRITTEN_BY_0_1 = """
    CREATE TABLE nodes (
        node TEXT PRIMARY KEY, address TEXT NOT NULL, epoch INTEGER NOT NULL,
        sequence INTEGER NOT NULL, seal INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE versions (
        serial INTEGER PRIMARY KEY, name TEXT NOT NULL, id TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, announced_s INTEGER NOT NULL, number INTEGER NOT NULL,
        publisher TEXT, seal INTEGER NOT NULL
    );
    CREATE TABLE holders (
        serial INTEGER, node TEXT, seal INTEGER NOT NULL, PRIMARY KEY (serial, node)
    ) WITHOUT ROWID;
    CREATE TABLE disowned (
        name TEXT, node TEXT, seal INTEGER NOT NULL, PRIMARY KEY (name, node)
    ) WITHOUT ROWID;
    PRAGMA user_version = 4;
    INSERT INTO nodes VALUES ('n1', 'tcp://127.0.0.1:11001', 1, 5, 8531600509394485248);
    INSERT INTO nodes VALUES ('n2', 'tcp://127.0.0.1:11002', 7, 9, 2941051307036336439);
    INSERT INTO versions VALUES (
        3, 'seeds.txt', 'b3:0000000000000000000000000000000000000000000000000000000000000001',
        10, 1795993685, 2, 'n1', 6369703054228324352
    );
    INSERT INTO versions VALUES (
        8, 'ü.txt', 'b3:0000000000000000000000000000000000000000000000000000000000000002',
        0, 1795993785, 0, NULL, 125965180268969984
    );
    INSERT INTO holders VALUES (3, 'n1', 3827592176074752001);
    INSERT INTO holders VALUES (8, 'n2', 5495481814250160128);
    INSERT INTO disowned VALUES ('net.txt', 'n3', 7262438626909224960);
"""


def test_reads_a_file_that_an_earlier_version_wrote(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.executescript(WRITTEN_BY_0_1)
    connection.close()
    before = [
        N1,
        Seen("n2", "tcp://127.0.0.1:11002", 7, 9),
        Gone("n2", left=True),
        Published("seeds.txt", content_id(1), 10, 2, "n1"),
        NET,
        *(HELD, PARTLY_HELD, DISOWNED),
    ]
    assert loaded(path) == before
    save(path, [Withdrawn(NET.name, NET.id, "n2"), Dropped(NET.name, NET.id), TOKENS])
    left = [each for each in before if each not in (NET, PARTLY_HELD)]
    assert loaded(path) == [*left, TOKENS]
    assert caplog.messages == []


def test_a_database_of_another_format_is_set_aside(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(path, EVERYTHING)
    with sqlite3.connect(path) as connection:  # Its tables look like ours, as do its seals.
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    assert loaded(path) == EVERYTHING_LOADED
    assert path.with_name("tracker.db.corrupt-1").exists()
    assert "its format is 9, not 6" in caplog.text


def test_a_second_tracker_on_the_same_state_is_refused(path: Path, store: SqliteStore) -> None:
    program = (
        "import sys; from pathlib import Path; from shoal.broker.sqlite_store import SqliteStore\n"
        "SqliteStore(Path(sys.argv[1])).load()"
    )
    second = subprocess.run(
        [sys.executable, "-c", program, path], capture_output=True, text=True, check=False
    )
    assert "UnavailableError: another tracker is running on" in second.stderr
    store.exchange(EVERYTHING)


def test_without_a_disk_the_tracker_runs_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / "file" / "tracker.db")
    assert list(store.load()) == []
    with pytest.raises(NotSavedError):
        store.exchange(EVERYTHING)
    (tmp_path / "file").unlink()  # And now there is one.
    store.exchange(EVERYTHING)
    store.close()
    assert loaded(tmp_path / "file" / "tracker.db") == EVERYTHING_LOADED
    (warning,) = caplog.messages
    assert "nothing new will be remembered across restarts until it can be" in warning


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_something_other_than_a_file_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "tracker.db")
    store = SqliteStore(tmp_path / "tracker.db")
    assert list(store.load()) == []
    store.exchange(EVERYTHING)
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["tracker.db"]
    (warning,) = caplog.messages
    assert "is not a regular file: nothing will be remembered across restarts" in warning


def test_a_link_to_nowhere_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tracker.db").symlink_to("/nonexistent/tracker.db")
    assert loaded(tmp_path / "tracker.db") == []
    assert len(caplog.messages) == 1


def test_a_full_disk_saves_nothing_and_loses_nothing(path: Path, store: SqliteStore) -> None:
    store.exchange([N1])
    connection = store._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 8")
    many = [msgspec.structs.replace(SEEDS, name=f"{'x' * 250}/{number}") for number in range(100)]
    with pytest.raises(NotSavedError, match="full"):
        store.exchange([N2, *many])
    connection.execute("PRAGMA max_page_count = 1000000")
    store.exchange([SEEDS])
    store.close()
    assert loaded(path) == [N1, SEEDS]


def test_changes_that_could_not_be_saved_can_be_saved_later(path: Path, store: SqliteStore) -> None:
    version = SEEDS.name, SEEDS.id
    store.exchange([N1, SEEDS, HELD])
    connection = store._connection
    assert connection is not None
    connection.execute("PRAGMA max_page_count = 8")
    many = [msgspec.structs.replace(NET, name=f"{'x' * 250}/{number}") for number in range(100)]
    changes: list[Change] = [Withdrawn(*version, "n1"), Dropped(*version), NET, *many]
    with pytest.raises(NotSavedError, match="full"):
        store.exchange(changes)
    connection.execute("PRAGMA max_page_count = 1000000")
    store.exchange(changes)
    store.close()
    assert loaded(path) == [N1, NET, *many]


WRITER = """
import sys
from pathlib import Path
from shoal.broker.tracking.changes import Held, Published, Seen
from shoal.broker.sqlite_store import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
number = sum(isinstance(change, Published) for change in store.load())
store.exchange([Seen("n1", "tcp://127.0.0.1:11001", 1, 1)])
while True:
    number += 1
    version = f"file{number}", f"b3:{number:064x}"
    store.exchange([Published(*version, 10), Held(*version, "n1", True)])
    print(number, flush=True)
"""


def test_acknowledged_changes_survive_a_kill(path: Path) -> None:
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
        log = loaded(path)
        numbers = [int(change.name[4:]) for change in log if isinstance(change, Published)]
        assert numbers == [int(change.name[4:]) for change in log if isinstance(change, Held)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert acknowledged <= len(numbers) <= acknowledged + 1
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

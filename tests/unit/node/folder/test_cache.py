"""What is remembered across starts, and that nothing is lost but time when it breaks."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from blake3 import blake3
from shoal.node.files.signature import Signature
from shoal.node.folder.cache import Cache
from shoal.protocol.manifest import TREE_MODE
from shoal.protocol.titles import Title

from tests.unit.node.disks import fill_up

SIGNATURE = Signature(10, 1_000_000_000, 42, 0o100644)


@contextlib.contextmanager
def cache_at(path: Path) -> Iterator[Cache]:
    cache = Cache(path)
    try:
        yield cache
    finally:
        cache.close()


def test_remembers_by_name_and_signature(tmp_path: Path) -> None:
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a/b", SIGNATURE, b"one")
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a/b", SIGNATURE) == b"one"
        assert cache.manifest_of("a", SIGNATURE) is None
        cache.remember("a/b", SIGNATURE, b"two")
        assert cache.manifest_of("a/b", SIGNATURE) == b"two"
        cache.forget("a/b")
        cache.forget("a/b")
        assert cache.manifest_of("a/b", SIGNATURE) is None


def test_what_may_not_have_been_on_the_disk_is_doubtful_once_the_machine_was_started_again(
    tmp_path: Path,
) -> None:
    other = Signature(11, 1, 43, 0o100644)
    with contextlib.closing(Cache(tmp_path / "cache.db", "boot 1")) as cache:
        for name in ("a", "b", "c"):
            cache.remember(name, SIGNATURE, name.encode())
        cache.remember("d", SIGNATURE, b"d", is_durable=True)
        assert sorted(cache.unsettled()) == [(name, SIGNATURE.text) for name in ("a", "b", "c")]
        changed_since = "c", other.text
        cache.settle([("b", SIGNATURE.text), changed_since])
        assert cache.manifest_of("a", SIGNATURE) == b"a"
    with contextlib.closing(Cache(tmp_path / "cache.db", "boot 2")) as cache:
        names = ("a", "b", "c", "d")
        sure = [cache.manifest_of(name, SIGNATURE) for name in names]
        assert sure == [None, b"b", None, b"d"]
        doubtful = [cache.doubtful_manifest_of(name, SIGNATURE) for name in names]
        assert doubtful == [b"a", None, b"c", None]
        assert cache.doubtful_manifest_of("a", other) is None
        assert cache.unsettled() == []


@pytest.mark.parametrize("field", ["size_bytes", "mtime_ns", "inode", "mode"])
def test_any_other_signature_is_another_file(tmp_path: Path, field: str) -> None:
    values = {name: getattr(SIGNATURE, name) for name in SIGNATURE.__struct_fields__}
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a", SIGNATURE, b"one")
        assert cache.manifest_of("a", Signature(**{**values, field: values[field] + 1})) is None


def test_another_number_of_the_device_is_no_change(tmp_path: Path) -> None:
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a", SIGNATURE, b"one")
        assert cache.manifest_of("a", msgspec.structs.replace(SIGNATURE, device=9)) == b"one"


def moved_to(cache: Cache, name: str, signature: Signature, path: Path) -> bytes | None:
    assert cache.manifest_of(name, signature) is None
    return cache.move(name, signature, str(path))


def test_a_file_that_has_moved_is_known_by_its_new_name(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"1234")
    signature = Signature.of(old.stat(), is_outside=True)
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a", signature, b"one", place=str(old))
        os.link(old, new)
        assert moved_to(cache, "b", Signature.of(new.stat(), is_outside=True), new) is None
        old.write_bytes(b"1234")  # It is still there, with another ctime.
        assert cache.manifest_of("a", Signature.of(old.stat(), is_outside=True)) is None
        old.unlink()
        old.write_bytes(b"4321")  # Another file may be where it was.
        now = Signature.of(new.stat(), is_outside=True)
        assert moved_to(cache, "b", msgspec.structs.replace(now, device=9), new) is None
        assert moved_to(cache, "b", msgspec.structs.replace(now, mtime_ns=9), new) is None
        cache.remember("a", msgspec.structs.replace(now, ctime_ns=1), b"one", place=str(old))
        assert moved_to(cache, "b", now, new) == b"one"
        assert cache.manifest_of("b", now) == b"one"
        assert moved_to(cache, "a", now, new) is None


def test_a_tree_that_has_moved_has_the_same_ctimes(tmp_path: Path) -> None:
    tree = Signature(10, 1, 2, TREE_MODE, ctime_ns=5)
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("t", tree, b"one", place=str(tmp_path / "gone"))
        assert moved_to(cache, "u", msgspec.structs.replace(tree, ctime_ns=6), tmp_path) is None
        assert moved_to(cache, "u", tree, tmp_path) == b"one"


def test_the_last_that_have_gone_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.node.folder.cache.MOST_GONE", 2)
    monkeypatch.setattr("shoal.node.folder.cache.SOME_MORE", 2)
    with cache_at(tmp_path / "cache.db") as cache:
        for name in ("a", "b", "c", "d"):
            cache.remember(name, SIGNATURE, name.encode())
        cache.gone("a")
        assert cache.manifest_of("a", SIGNATURE) == b"a"  # It is back.
        for name in ("b", "c", "d"):
            cache.gone(name)
            time.sleep(0.002)  # So that the last one is known.
        known = [cache.manifest_of(name, SIGNATURE) for name in ("a", "b", "c", "d")]
        assert known == [b"a", None, b"c", b"d"]


def test_each_start_has_a_larger_number(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        with cache_at(tmp_path / "cache.db") as cache:
            epochs += [cache.next_epoch(), cache.next_epoch()]
    assert epochs == sorted(set(epochs))


def test_the_number_is_larger_even_when_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault 74."""
    with cache_at(tmp_path / "cache.db") as cache:
        before = cache.next_epoch()
    a_day_ago = time.time_ns() - 86_400 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: a_day_ago)
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.next_epoch() == before + 1


def test_the_number_is_larger_even_when_the_cache_was_lost(tmp_path: Path) -> None:
    """Else the tracker takes the node for an older process of itself, and does not listen."""
    with cache_at(tmp_path / "cache.db") as cache:
        before = cache.next_epoch()
    for path in tmp_path.iterdir():
        path.unlink()
    time.sleep(0.002)  # The clock's milliseconds count.
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.next_epoch() > before


def test_the_number_is_larger_even_when_an_old_cache_was_put_back(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with cache_at(path) as cache:
        before = cache.next_epoch()
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("UPDATE starts SET count = 5")
        time.sleep(0.002)
        assert cache.next_epoch() > before


def fill(path: Path) -> None:
    with cache_at(path) as cache:
        for number in range(200):
            cache.remember(f"{number}", SIGNATURE, os.urandom(9000))
        cache.next_epoch()


@pytest.mark.parametrize("garbage", [b"", b"no database", os.urandom(10_000), b"SQLite format 3\0"])
def test_a_file_that_is_none_is_made_anew(tmp_path: Path, garbage: bytes) -> None:
    path = tmp_path / "cache.db"
    path.write_bytes(garbage)
    path.with_name("cache.db-wal").write_bytes(garbage)
    with cache_at(path) as cache:
        assert cache.manifest_of("a", SIGNATURE) is None
        cache.remember("a", SIGNATURE, b"one")
        assert cache.manifest_of("a", SIGNATURE) == b"one"


@pytest.mark.parametrize("page", [0, 1, 3, 7, 50, 200])
def test_a_broken_page_costs_no_more_than_what_was_cached(tmp_path: Path, page: int) -> None:
    path = tmp_path / "cache.db"
    fill(path)
    with path.open("r+b") as file:
        file.seek(4096 * page)
        file.write(os.urandom(4096))
    with cache_at(path) as cache:
        for number in range(200):
            cache.manifest_of(f"{number}", SIGNATURE)
            cache.remember(f"{number}", SIGNATURE, b"one")
            cache.forget(f"{number}")
        assert cache.next_epoch() > 0


def test_what_was_spoiled_is_not_believed(tmp_path: Path) -> None:
    """A manifest with a wrong digest in it would make this node a liar."""
    path = tmp_path / "cache.db"
    data = b"manifest" * 1000
    with cache_at(path) as cache:
        cache.remember("a", SIGNATURE, data)
    raw = path.read_bytes()
    at = raw.index(b"manifestmanifest", len(raw) // 2)
    path.write_bytes(raw[:at] + b"M" + raw[at + 1 :])
    with cache_at(path) as cache:
        assert cache.manifest_of("a", SIGNATURE) is None


def test_goes_on_when_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with cache_at(path) as cache:
        cache.next_epoch()
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.executescript("DROP TABLE manifests; DROP TABLE starts;")
        cache.remember("a", SIGNATURE, b"one")
        cache.forget("a")
        assert cache.manifest_of("a", SIGNATURE) is None
        assert cache.next_epoch() > 0


def test_may_be_used_from_any_thread(tmp_path: Path) -> None:
    with cache_at(tmp_path / "cache.db") as cache:

        def work(number: int) -> None:
            for _ in range(20):
                cache.remember(f"{number}", SIGNATURE, b"%d" % number)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = [cache.manifest_of(f"{number}", SIGNATURE) for number in range(4)]
    assert found == [b"0", b"1", b"2", b"3"]


PLACES: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, victim: path.symlink_to(victim),
    "dangling link": lambda path, victim: path.symlink_to(victim.with_name("nowhere")),
    "hard link": lambda path, victim: path.hardlink_to(victim),
    "fifo": lambda path, _: os.mkfifo(path),
    "directory": lambda path, _: (path / "d").mkdir(parents=True),
}


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("what", PLACES)
def test_what_is_not_its_own_file_is_replaced(tmp_path: Path, what: str, suffix: str) -> None:
    """SQLite would write through a link, and wait for a FIFO."""
    victim, path = tmp_path / "victim", tmp_path / "cache.db"
    victim.write_bytes(b"mine")
    PLACES[what](path.with_name(f"cache.db{suffix}"), victim)
    with cache_at(path) as cache:
        cache.remember("a", SIGNATURE, b"one")
        assert cache.manifest_of("a", SIGNATURE) == b"one"
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
    assert path.is_file()


def test_where_none_can_be_kept_it_lasts_as_long_as_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cache_at(tmp_path / "nowhere" / "cache.db") as cache:
        cache.remember("a", SIGNATURE, b"one")
        assert cache.manifest_of("a", SIGNATURE) == b"one"
        assert cache.next_epoch() > 0
    assert "cannot keep the cache in" in caplog.text


def test_numbers_beyond_63_bits_are_remembered_too(tmp_path: Path) -> None:
    huge = Signature(10, 2**64 - 1, 2**64 - 1, 0o100644)
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a", huge, b"one")
        assert cache.manifest_of("a", huge) == b"one"
        assert cache.manifest_of("a", SIGNATURE) is None


def test_what_an_earlier_version_has_written_is_dropped(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as old:
        old.execute("CREATE TABLE manifests (name TEXT PRIMARY KEY, size INTEGER, data BLOB)")
        old.execute("INSERT INTO manifests VALUES ('a', 10, x'00')")
        old.commit()
    for _ in range(2):
        with cache_at(tmp_path / "cache.db") as cache:
            assert cache.manifest_of("a", SIGNATURE) is None
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a", SIGNATURE, b"one")
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a", SIGNATURE) == b"one"


def test_what_a_later_version_has_written_is_dropped(tmp_path: Path) -> None:  # fault 101
    with cache_at(tmp_path / "cache.db") as cache:
        cache.remember("a", SIGNATURE, b"one")
        last = cache.next_epoch()
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as later:
        later.execute("ALTER TABLE manifests ADD COLUMN more BLOB NOT NULL DEFAULT x'00'")
        later.execute("PRAGMA user_version = 99")
        later.commit()
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a", SIGNATURE) is None
        assert cache.next_epoch() > last
        cache.remember("a", SIGNATURE, b"two")
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a", SIGNATURE) == b"two"


def test_what_the_version_before_has_written_counts(tmp_path: Path) -> None:
    outside = msgspec.structs.replace(SIGNATURE, ctime_ns=7)
    with contextlib.closing(sqlite3.connect(tmp_path / "cache.db")) as old:
        columns = "name TEXT PRIMARY KEY, signature TEXT, data BLOB, boot TEXT"
        old.execute(f"CREATE TABLE manifests ({columns}) WITHOUT ROWID")
        row = "a", SIGNATURE.text, blake3(b"one").digest() + b"one", ""
        old.execute("INSERT INTO manifests VALUES (?, ?, ?, ?)", row)
        old.execute("PRAGMA user_version = 3")
        old.commit()
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a", outside) == b"one"
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a", outside) == b"one"
        assert cache.manifest_of("a", msgspec.structs.replace(outside, ctime_ns=8)) is None


def test_a_path_that_is_too_long_for_sqlite_is_not_for_us(tmp_path: Path) -> None:
    folder = tmp_path / ("l" * 250) / ("m" * 250)
    folder.mkdir(parents=True)
    epochs = []
    for data in (b"one", b"two"):
        with cache_at(folder / "cache.db") as cache:
            assert cache.manifest_of("a", SIGNATURE) == (None if data == b"one" else b"one")
            cache.remember("a", SIGNATURE, data)
            epochs.append(cache.next_epoch())
    assert epochs == sorted(set(epochs))
    (folder / "cache.db").rename(tmp_path / "cache.db")  # It is like any other.
    with cache_at(tmp_path / "cache.db") as cache:
        assert cache.manifest_of("a", SIGNATURE) == b"two"
    (tmp_path / "cache.db").rename(folder / "cache.db")
    with cache_at(folder / "cache.db") as cache:
        assert cache.manifest_of("a", SIGNATURE) == b"two"
    (folder / "cache.db").write_bytes(b"no database")
    with cache_at(folder / "cache.db") as cache:
        assert cache.manifest_of("a", SIGNATURE) is None


def test_on_a_full_disk_what_is_there_is_known(small_disk: Path) -> None:
    path = small_disk / "cache.db"
    with cache_at(path) as cache:
        cache.remember("a", SIGNATURE, b"one")
        before = cache.next_epoch()
    fill_up(small_disk)
    with cache_at(path) as cache:
        assert cache.manifest_of("a", SIGNATURE) == b"one"
        cache.remember("b", SIGNATURE, b"two")
        assert cache.next_epoch() > before
    with contextlib.closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT name FROM manifests").fetchall() == [("a",)]
    (small_disk / "other").unlink()
    with cache_at(path) as cache:
        assert cache.manifest_of("a", SIGNATURE) == b"one"
        assert cache.manifest_of("b", SIGNATURE) is None


def test_a_title_that_the_disk_refuses_is_kept_until_it_takes_it(tmp_path: Path) -> None:
    """A publisher whose disk was full took its newest version for a stranger's file."""
    first, second = Title("b3:1", 1, "n1"), Title("b3:2", 2, "n1")
    with cache_at(tmp_path / "cache.db") as cache:
        cache.entitle("a", first)
        cache.entitle("b", first)
        cache._database.execute("PRAGMA query_only = 1")  # As if it were full.
        cache.entitle("a", second)
        cache.forget_title("b")
        assert (cache.title_of("a"), cache.title_of("b")) == (second, None)
        cache._database.execute("PRAGMA query_only = 0")
        cache.entitle("c", first)
        cache._database.execute("PRAGMA query_only = 1")
        cache.entitle("d", first)
        cache._database.execute("PRAGMA query_only = 0")
    with cache_at(tmp_path / "cache.db") as cache:
        told = [cache.title_of(name) for name in "abcd"]
    assert told == [second, None, first, first]

"""From bytes to manifests, and back to what is right on the disk."""

import os
import threading
from pathlib import Path

import pytest
from shoal.node.files.signature import GoneError, Signature
from shoal.node.folder import hashing
from shoal.node.folder.hashing import HashProgress, hash_source, verified_chunks
from shoal.node.folder.source import FileSource
from shoal.protocol import manifest

from tests.unit.node.things import bits, chunk, digits, plain, thing

MIB = 1 << 20


def source_at(path: Path) -> FileSource:
    return FileSource(path, Signature.of(path.stat()))


def hashed(path: Path) -> manifest.Manifest:
    return hash_source(source_at(path), lambda _: None, lambda: False)


@pytest.mark.parametrize(
    "size", [0, 1, 2, 255, 256, 257, 2047, 2048, 2049, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 9 * MIB]
)
def test_hashes_files_of_every_size(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "a"
    path.write_bytes(data)
    assert hashed(path) == plain(data)


def test_says_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(20 * MIB + 5))
    done: list[int] = []
    found = hash_source(source_at(path), done.append, lambda: False)
    assert (len(done), sum(done)) == (found.chunk_count, 20 * MIB + 5)


def test_holes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(20 * MIB + 5)
        file.seek(9 * MIB)
        file.write(b"data")
    source = source_at(path)
    read, did = [], source.read

    def noted(offset: int, size_bytes: int) -> bytes:
        read.append(offset // MIB)
        return did(offset, size_bytes)

    source_of = type("Noted", (FileSource,), {"read": lambda _, *where: noted(*where)})
    found = hash_source(source_of(path, source.signature), lambda _: None, lambda: False)
    assert found == plain(path.read_bytes())
    assert 9 in read
    assert len(read) <= 2  # The last one is small.


def test_remembers_whether_a_file_may_be_run(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    assert hashed(path).mode == manifest.PLAIN_MODE
    path.chmod(0o755)
    assert hashed(path).mode == manifest.EXECUTABLE_MODE


@pytest.mark.parametrize("change", ["append", "truncate", "touch", "run", "rewrite", "replace"])
def test_notices_a_change_while_it_reads(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(4096))
    os.utime(path, ns=(1, 1))

    def meddle(_: int) -> None:
        if change == "append":
            with path.open("ab") as file:
                file.write(b"x")
        elif change == "truncate":
            os.truncate(path, 100)
        elif change == "touch":
            os.utime(path, ns=(5, 5))
        elif change == "run":
            path.chmod(0o755)
        elif change == "replace":
            path.with_name("b").write_bytes(bytes(4096))
            path.with_name("b").rename(path)
        else:
            path.write_bytes(b"y" * 4096)

    with pytest.raises(GoneError):
        hash_source(source_at(path), meddle, lambda: False)


def test_stops_when_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(40 * MIB))
    done: list[int] = []
    with pytest.raises(GoneError):
        hash_source(source_at(path), done.append, lambda: len(done) >= 3)
    assert len(done) < 10


def test_cannot_hash_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hashed(tmp_path / "a")


def test_says_which_chunks_are_right() -> None:
    there = thing([10] * 10)

    def read(index: int) -> bytes:
        return {3: b"", 5: b"0123456789"}.get(index, chunk(index))

    assert digits(verified_chunks(read, there, list(range(10)))) == "01246789"
    assert verified_chunks(read, there, [5, 6]) == bits("6")
    assert verified_chunks(read, there, []) == 0


def test_uses_threads_only_where_they_pay() -> None:
    for count in (hashing.SERIAL_CHUNKS, 100):
        texts = hashing.map_with_all_cores(str, range(count))
        assert list(texts) == [str(number) for number in range(count)]


Told = list[tuple[int, int]]


def source(size_bytes: int) -> FileSource:
    return FileSource(Path("a"), Signature(size_bytes, 0, 0, manifest.PLAIN_MODE))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "SHOW_S", 0.0)
    monkeypatch.setattr(hashing, "SAY_S", 0.0)


@pytest.mark.usefixtures("at_once")
def test_who_waits_is_told_how_much_of_how_much() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(70), source(30)], lambda *so_far: told.append(so_far))
    for _ in range(3):
        progress.hashed(40)
    assert told == [(40, 100), (80, 100), (120, 120)]  # One has grown meanwhile.


@pytest.mark.usefixtures("at_once")
def test_else_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    progress = HashProgress()
    with caplog.at_level("INFO", "shoal.node"):
        progress.begin([source(4_000_000_000)])
        progress.hashed(1_000_000_000)
    assert caplog.messages == ["hashing: 1.0 of 4.0 GB, 25 %"]


@pytest.mark.usefixtures("at_once")
def test_each_begins_anew() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(10)])
    progress.hashed(10)
    progress.begin([source(20)], lambda *so_far: told.append(so_far))
    progress.hashed(5)
    assert told == [(5, 20)]


def test_it_is_told_now_and_then_only() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(1000)], lambda *so_far: told.append(so_far))
    for _ in range(500):
        progress.hashed(1)
    assert len(told) < 100


@pytest.mark.usefixtures("at_once")
def test_nothing_is_lost_between_threads() -> None:
    told: Told = []
    progress = HashProgress()
    progress.begin([source(4000)], lambda *so_far: told.append(so_far))

    def hash_it() -> None:
        for _ in range(1000):
            progress.hashed(1)

    threads = [threading.Thread(target=hash_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(told) == (4000, 4000)

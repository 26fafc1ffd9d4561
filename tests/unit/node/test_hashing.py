"""From bytes to manifests, and back to what is right on the disk."""

import os
from pathlib import Path

import pytest

from node import hashing
from node.hashing import FileChangedError, Signature, hash_file, verified_chunks
from protocol import manifest
from tests.unit.node.things import bits, chunk, digits, plain, thing

MIB = 1 << 20


def hashed(path: Path) -> manifest.Manifest:
    return hash_file(path, lambda _: None, lambda: False)[0]


@pytest.mark.parametrize(
    "size", [0, 1, 2, 255, 256, 257, 2047, 2048, 2049, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 9 * MIB]
)
def test_hashes_files_of_every_size(tmp_path: Path, size: int) -> None:  # fault 88
    data = os.urandom(size)
    path = tmp_path / "a"
    path.write_bytes(data)
    assert hashed(path) == plain(data)


def test_says_how_far_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(20 * MIB + 5))
    done: list[int] = []
    found, _ = hash_file(path, done.append, lambda: False)
    assert (len(done), sum(done)) == (found.chunk_count, 20 * MIB + 5)


def test_remembers_whether_a_file_may_be_run(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    assert hashed(path).entries[0].mode == manifest.PLAIN_MODE
    path.chmod(0o755)
    assert hashed(path).entries[0].mode == manifest.EXECUTABLE_MODE


@pytest.mark.parametrize("change", ["append", "truncate", "touch", "run", "rewrite"])
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
        else:
            path.write_bytes(b"y" * 4096)

    with pytest.raises(FileChangedError):
        hash_file(path, meddle, lambda: False)


def test_a_file_that_is_replaced_while_it_is_read_is_what_it_was(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"1" * 4096)
    other.write_bytes(b"2" * 4096)
    was = Signature.of(path.stat())

    def replace(_: int) -> None:
        if other.exists():
            other.rename(path)

    found, signature = hash_file(path, replace, lambda: False)
    assert found == plain(b"1" * 4096)
    assert signature == was != Signature.of(path.stat())


def test_stops_when_it_is_told_to(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(40 * MIB))
    done: list[int] = []
    with pytest.raises(FileChangedError):
        hash_file(path, done.append, lambda: len(done) >= 3)
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
    assert len(list(hashing._map(str, range(hashing.SERIAL_CHUNKS)))) == hashing.SERIAL_CHUNKS
    assert list(hashing._map(str, range(100))) == [str(number) for number in range(100)]

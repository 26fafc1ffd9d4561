"""Zeros that take no blocks, and copies that keep them."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shoal.node.files import libc
from shoal.node.files.holes import copy_bytes, give_back, is_hole, stretches, write_hole
from shoal.node.files.signature import GoneError, Signature

BLOCK = 1 << 20


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def blocks(path: Path) -> int:
    """Return how many bytes of the disk it takes."""
    return path.stat().st_blocks * 512


def refused(*_: int) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


def write(path: Path, offset: int, size_bytes: int) -> None:
    with opened(path) as descriptor:
        write_hole(descriptor, offset, memoryview(bytes(size_bytes)))


def test_a_hole_makes_a_file_longer_and_takes_no_room(tmp_path: Path) -> None:
    write(tmp_path / "a", BLOCK, 3 * BLOCK)
    assert ((tmp_path / "a").stat().st_size, blocks(tmp_path / "a")) == (4 * BLOCK, 0)


def test_what_was_there_is_gone(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3 * BLOCK)
    write(tmp_path / "a", BLOCK - 5, BLOCK + 10)
    found = (tmp_path / "a").read_bytes()
    assert found == b"x" * (BLOCK - 5) + bytes(BLOCK + 10) + b"x" * (BLOCK - 5)
    assert blocks(tmp_path / "a") < 3 * BLOCK


def test_zeros_are_written_where_there_can_be_no_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libc, "punch_hole", refused)
    (tmp_path / "a").write_bytes(b"xxxxx")
    write(tmp_path / "a", 1, 3)
    assert (tmp_path / "a").read_bytes() == b"x\0\0\0x"


def test_says_where_the_data_is(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as descriptor:
        os.ftruncate(descriptor, 8 * BLOCK)
        os.pwrite(descriptor, b"x" * BLOCK, BLOCK)
        os.pwrite(descriptor, b"x" * BLOCK, 4 * BLOCK)
        all_of_it = list(stretches(descriptor, 0, 8 * BLOCK))
        assert all_of_it == [(BLOCK, 2 * BLOCK), (4 * BLOCK, 5 * BLOCK)]
        assert list(stretches(descriptor, BLOCK + 1, 4 * BLOCK)) == [(BLOCK + 1, 2 * BLOCK)]
        assert list(stretches(descriptor, 5 * BLOCK, 9 * BLOCK)) == []


def test_all_is_data_where_nothing_is_said_of_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "lseek", refused)
    with opened(tmp_path / "a") as descriptor:
        assert list(stretches(descriptor, 3, 9)) == [(3, 9)]


def test_what_was_allocated_and_not_written_is_given_back(tmp_path: Path) -> None:
    with opened(tmp_path / "a") as descriptor:
        os.posix_fallocate(descriptor, 0, 4 * BLOCK)
        os.pwrite(descriptor, b"x" * BLOCK, BLOCK)
        give_back(descriptor, 4 * BLOCK)
        assert os.pread(descriptor, 4 * BLOCK, 0) == bytes(BLOCK) + b"x" * BLOCK + bytes(2 * BLOCK)
    if os.major(tmp_path.stat().st_dev):  # A RAM disk calls all of it data.
        assert blocks(tmp_path / "a") == BLOCK


@pytest.mark.parametrize("in_kernel", [True, False])
@pytest.mark.parametrize("parts", ["", "x", "x.", ".x", "..", "x..xx.x.", "." * 8])
def test_a_copy_has_the_same_bytes_and_the_same_holes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: str, *, in_kernel: bool
) -> None:
    if not in_kernel:
        monkeypatch.setattr(os, "copy_file_range", refused)
    size_bytes = 2 * BLOCK
    for tail in ("", "tail"):
        source, copy, copied = tmp_path / f"a{tail}", tmp_path / f"b{tail}", [0]
        with opened(source) as descriptor:
            os.ftruncate(descriptor, size_bytes * len(parts))
            for index, part in enumerate(parts):
                if part == "x":
                    os.pwrite(descriptor, os.urandom(size_bytes), index * size_bytes)
            os.pwrite(descriptor, tail.encode(), size_bytes * len(parts))
        with opened(source) as one, opened(copy) as two:
            copy_bytes(one, two, source.stat().st_size, copied.append)
        assert copy.read_bytes() == source.read_bytes()
        assert sum(copied) == source.stat().st_size
        assert blocks(copy) <= parts.count("x") * size_bytes + 4096


def test_a_file_that_changes_its_length_is_copied_as_it_is(tmp_path: Path) -> None:
    for size_bytes in (3 * BLOCK, 10):
        (tmp_path / "a").write_bytes(b"x" * BLOCK)
        with opened(tmp_path / "a") as one, opened(tmp_path / f"{size_bytes}") as two:
            copy_bytes(one, two, size_bytes, lambda _: None)
        assert (tmp_path / f"{size_bytes}").read_bytes() == b"x" * BLOCK


def test_a_hole_is_one_of_a_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(4 * BLOCK)
        file.seek(BLOCK)
        file.write(b"data")
    fits = Signature.of(path.stat()).fits
    found = [is_hole(str(path), fits, start * BLOCK, BLOCK) for start in range(4)]
    assert found == [True, False, True, True]
    path.touch()
    with pytest.raises(GoneError):
        is_hole(str(path), fits, 0, BLOCK)

"""What a file's bytes are taken to be the same by; and no others are ever read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.files.signature import (
    AHEAD_BYTES,
    LARGE_BYTES,
    GoneError,
    Signature,
    read_unchanged,
    read_unchanged_into,
)
from shoal.protocol import manifest

from tests.unit.node.sample_trees import open_descriptors

DATA = bytes(range(250)) * 20


def a_file(folder: Path, name: str = "a", data: bytes = DATA) -> Path:
    path = folder / name
    path.write_bytes(data)
    os.utime(path, ns=(5, 5))
    return path


def read_into(path: str, signature: Signature, offset: int, size_bytes: int) -> bytes:
    buffer = bytearray(size_bytes)
    read_unchanged_into(path, signature.fits, offset, memoryview(buffer))
    return bytes(buffer)


def read(path: str, signature: Signature, offset: int, size_bytes: int) -> bytes:
    return read_unchanged(path, signature.fits, offset, size_bytes)


def signature_of(path: Path) -> Signature:
    return Signature.of(path.stat())


def replace_by_the_same(path: Path) -> None:
    a_file(path.parent, "other").rename(path)


def rewrite(path: Path) -> None:
    path.write_bytes(DATA[::-1])


CHANGES: dict[str, Callable[[Path], object]] = {
    "appended": lambda path: os.truncate(path, len(DATA) + 1),
    "truncated": lambda path: os.truncate(path, len(DATA) - 1),
    "rewritten": rewrite,
    "touched": lambda path: os.utime(path, ns=(5, 6)),
    "replaced": replace_by_the_same,
    "made executable": lambda path: path.chmod(0o744),
}
NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "nothing": Path.exists,
    "read": lambda path: path.read_bytes(),
    "read at another time": lambda path: os.utime(path, ns=(99, 5)),
    "closed to others": lambda path: path.chmod(0o600),
    "executable for others alone": lambda path: path.chmod(0o655),
    "linked": lambda path: path.with_name("b").hardlink_to(path),
    "renamed there and back": lambda path: path.rename(path.with_name("b")).rename(path),
    "given away": lambda path: os.chown(path, os.geteuid(), os.getegid()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_shows_in_the_signature(tmp_path: Path, change: str) -> None:
    path = a_file(tmp_path)
    was = signature_of(path)
    assert was.fits(path.stat())
    CHANGES[change](path)
    assert signature_of(path) != was
    assert not was.fits(path.stat())


@pytest.mark.parametrize("change", NO_CHANGES)
def test_nothing_else_does(tmp_path: Path, change: str) -> None:
    path = a_file(tmp_path)
    was = signature_of(path)
    NO_CHANGES[change](path)
    assert signature_of(path) == was
    assert was.fits(path.stat())
    assert read(str(path), was, 0, 5000) == DATA


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o600, 0o700, 0o444, 0o655, 0o100])
def test_the_owner_s_right_to_run_it_is_all_that_counts_of_a_mode(
    tmp_path: Path, mode: int
) -> None:
    path = a_file(tmp_path)
    path.chmod(mode)
    expected = manifest.EXECUTABLE_MODE if mode & 0o100 else manifest.PLAIN_MODE
    assert signature_of(path).mode == expected


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("part", [(0, 5000), (100, 10), (0, 0)])
def test_nothing_leaves_of_a_file_that_has_changed(
    tmp_path: Path, change: str, part: tuple[int, int]
) -> None:
    path = a_file(tmp_path)
    was = signature_of(path)
    CHANGES[change](path)
    with pytest.raises(GoneError):
        read(str(path), was, *part)
    with pytest.raises(GoneError):
        read_into(str(path), was, *part)


@pytest.mark.parametrize(
    ("offset", "size_bytes"), [(0, 5000), (0, 1), (4999, 1), (100, 200), (0, 0), (5000, 0)]
)
def test_reads_any_part(tmp_path: Path, offset: int, size_bytes: int) -> None:
    path = a_file(tmp_path)
    expected = DATA[offset : offset + size_bytes]
    assert read(str(path), signature_of(path), offset, size_bytes) == expected
    assert read_into(str(path), signature_of(path), offset, size_bytes) == expected


@pytest.mark.parametrize(
    "size_bytes", [LARGE_BYTES - 1, LARGE_BYTES, AHEAD_BYTES - 1, AHEAD_BYTES, AHEAD_BYTES + 1]
)
def test_reading_ahead_changes_no_byte(tmp_path: Path, size_bytes: int) -> None:
    data = os.urandom(size_bytes)
    path = a_file(tmp_path, data=data)
    assert read(str(path), signature_of(path), 0, size_bytes) == data


def test_a_file_is_no_longer_than_it_is(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    with pytest.raises(GoneError, match="changed"):
        read_into(str(path), signature_of(path), 4999, 2)
    with pytest.raises(GoneError, match="changed after"):
        read(str(path), signature_of(path), 4999, 2)


def test_a_link_to_the_very_file_will_do(tmp_path: Path) -> None:
    """A file may be shared through a link; the signature says whether it is the same."""
    path = a_file(tmp_path)
    was = signature_of(path)
    path.rename(tmp_path / "b")
    path.symlink_to("b")
    assert read(str(path), was, 0, 5000) == DATA
    a_file(tmp_path, "c")
    path.unlink()
    path.symlink_to("c")
    with pytest.raises(GoneError):
        read(str(path), was, 0, 5000)


def test_leaves_no_descriptor_open(tmp_path: Path) -> None:
    path = a_file(tmp_path)
    before = open_descriptors()
    for one in (read, read_into):
        was = signature_of(a_file(tmp_path))
        one(str(path), was, 0, 10)
        os.truncate(path, 0)
        with pytest.raises(GoneError):
            one(str(path), was, 0, 10)
        path.unlink()
        path.mkdir()
        with pytest.raises(OSError, match="directory"):
            one(str(path), was, 0, 10)
        path.rmdir()
    assert open_descriptors() == before

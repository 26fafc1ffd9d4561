"""System calls that Python lacks: what they do, and that they fail as others do."""

import errno
import os
from pathlib import Path

import pytest
from shoal.node.files import libc

from tests.unit.node.disks import refuse_to_sync
from tests.unit.node.sample_trees import file, make, seen


def rename(old: Path, directory: Path, new: str, flags: int) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        libc.renameat2(libc.AT_FDCWD, os.fsencode(old), descriptor, new.encode(), flags)
    finally:
        os.close(descriptor)


def test_renames_what_nothing_has_the_name_of_and_nothing_else(tmp_path: Path) -> None:
    make(tmp_path, {"a": file(b"1"), "d/b": file(b"2")})
    with pytest.raises(FileExistsError, match="b'"):
        rename(tmp_path / "a", tmp_path / "d", "b", libc.RENAME_NOREPLACE)
    rename(tmp_path / "a", tmp_path / "d", "c", libc.RENAME_NOREPLACE)
    assert seen(tmp_path) == {"d/b": file(b"2"), "d/c": file(b"1")}


def test_lets_two_names_change_places(tmp_path: Path) -> None:
    make(tmp_path, {"a/x": file(b"1"), "d/b": file(b"2")})
    rename(tmp_path / "a", tmp_path / "d", "b", libc.RENAME_EXCHANGE)
    assert seen(tmp_path) == {"a": file(b"2"), "d/b/x": file(b"1")}
    with pytest.raises(FileNotFoundError):
        rename(tmp_path / "a", tmp_path / "d", "nothing", libc.RENAME_EXCHANGE)


def test_a_c_library_that_lacks_it_is_a_system_that_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libc, "_libc", object())
    with pytest.raises(OSError, match="not implemented") as failed:
        rename(tmp_path, tmp_path, "x", libc.RENAME_NOREPLACE)
    assert failed.value.errno == errno.ENOSYS


def test_syncs_or_says_that_it_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    libc.syncfs(descriptor)
    refuse_to_sync(monkeypatch)
    with pytest.raises(OSError, match="Input/output"):
        libc.syncfs(descriptor)
    os.close(descriptor)

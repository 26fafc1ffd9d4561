"""node/files/durable.py: on disks that work, that refuse, and that lose what was written."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from shoal.node.files.durable import FileSystem, sync_file

from tests.unit.node.disks import refuse_to_sync
from tests.unit.node.failing_disk import FailingDisk, failing_disk
from tests.unit.node.sample_trees import open_descriptors

DATA = os.urandom(1 << 20)


def synced(directory: Path, *doubtful: Path) -> None:
    with contextlib.closing(FileSystem.of(directory)) as disk:
        disk.sync(*doubtful)


def test_makes_durable_what_is_there(tmp_path: Path) -> None:
    descriptors = open_descriptors()
    synced(tmp_path)
    with pytest.raises(FileNotFoundError):
        synced(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        synced(tmp_path / "file")
    assert open_descriptors() == descriptors


def test_a_disk_that_cannot_make_durable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_sync(monkeypatch)
    with pytest.raises(OSError, match="Input/output"):
        synced(tmp_path, tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FailingDisk]:
    with failing_disk(tmp_path) as disk:
        yield disk


def write(path: Path, count: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        for _ in range(count):
            file.write(DATA)


def right_ones(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block == DATA for block in iter(lambda: file.read(len(DATA)), b""))


def test_a_file_that_could_not_be_written_is_read_from_the_disk_again(disk: FailingDisk) -> None:
    path = disk.path / "file"
    write(path, disk.more_mebibytes)
    descriptor = os.open(path, os.O_RDWR)
    with pytest.raises(OSError, match=r"No space|Input/output"):
        sync_file(descriptor)
    assert right_ones(path) < disk.more_mebibytes
    disk.mend()
    sync_file(descriptor)  # That alone would have been taken for a success.
    os.close(descriptor)


def test_the_same_of_all_files_below_a_directory(disk: FailingDisk) -> None:
    path = disk.path / "tree/a"
    with contextlib.closing(FileSystem.of(disk.path)) as durably:
        write(path, disk.more_mebibytes)
        (disk.path / "tree/link").symlink_to("a")
        (disk.path / "tree/empty").mkdir()
        with pytest.raises(OSError, match=r"No space|Input/output"):
            durably.sync(disk.path / "tree")
    assert right_ones(path) < disk.more_mebibytes


def test_tells_of_what_others_have_been_told_of(disk: FailingDisk) -> None:
    with contextlib.closing(FileSystem.of(disk.path)) as durably:
        write(disk.path / "file", disk.more_mebibytes)
        assert subprocess.run(
            ["sync", "-f", disk.path], check=False, capture_output=True
        ).returncode
        with pytest.raises(OSError, match=r"No space|Input/output"):
            durably.sync()

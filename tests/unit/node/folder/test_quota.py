"""How much a folder may take in."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from shoal.node.folder.quota import Quota, bytes_below
from shoal.protocol.errors import DiskError, OperatorError


def put(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size_bytes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with 70 bytes in it that count."""
    put(tmp_path / "a", 10)
    put(tmp_path / "d" / "b", 20)
    put(tmp_path / "d" / "e" / "c", 40)
    put(tmp_path / ".shoal" / "x", 1000)
    return tmp_path


def test_takes_in_what_fits(folder: Path) -> None:
    quota = Quota(folder, "n1", 100)
    quota.require("new", 30)
    with pytest.raises(OperatorError, match="is more than the quota of n1 leaves") as refused:
        quota.require("new", 31)
    assert isinstance(refused.value, DiskError)
    assert "`shoal forget NAME --delete --as n1` makes room, or raise quota_gb" in str(
        refused.value
    )


def test_what_is_replaced_does_not_count(folder: Path) -> None:
    quota = Quota(folder, "n1", 100)
    quota.require("d", 90)
    with pytest.raises(OperatorError):
        quota.require("d", 91)


def test_what_is_added_to_counts(folder: Path) -> None:
    quota = Quota(folder, "n1", 100)
    quota.require("d", 30, replaces=False)
    with pytest.raises(OperatorError):
        quota.require("d", 31, replaces=False)


def test_without_a_quota_the_disk_is_the_limit(folder: Path) -> None:
    Quota(folder, "n1", None).require("new", 1 << 60)


def test_links_and_pipes_have_no_bytes_and_lead_nowhere(folder: Path) -> None:
    (folder / "d" / "up").symlink_to("..")
    (folder / "d" / "away").symlink_to("/usr")
    (folder / "gone").symlink_to("nothing")
    os.mkfifo(folder / "pipe")
    Quota(folder, "n1", 70).require("new", 0)


def test_counts_the_bytes_of_a_file_and_of_a_directory(folder: Path) -> None:
    found = [bytes_below(folder / name) for name in ("a", "d", "d/e/c", "nothing")]
    assert found == [10, 60, 40, 0]


def test_what_goes_while_it_is_counted_has_no_bytes(folder: Path) -> None:
    is_over = threading.Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            put(folder / "d" / "short" / "lived", 1)
            shutil.rmtree(folder / "d" / "short")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    found = {bytes_below(folder / "d") for _ in range(300)}
    is_over.set()
    thread.join()
    assert found <= {60, 61}


def test_what_interrupted_fetches_have_left_counts_as_far_as_it_takes_room(folder: Path) -> None:
    left = folder / ".shoal/partial" / ("1" * 64) / "data"
    put(left, 8192)
    os.truncate(left, 1 << 40)
    on_disk = left.stat().st_blocks * 512
    quota = Quota(folder, "n1", 70 + on_disk)
    quota.require("new", 0)
    with pytest.raises(OperatorError, match="by other fetches") as refused:
        quota.require("new", 1)
    assert "`shoal fetch NAME --discard --as n1` too" in str(refused.value)


def test_what_has_come_already_does_not_count_twice(folder: Path) -> None:
    put(folder / ".shoal/partial" / ("1" * 64) / "data", 8192)
    Quota(folder, "n1", 71).require("new", 1, staged="b3:" + "1" * 64)

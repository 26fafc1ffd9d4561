"""One owner of a folder, which is not on a bare mount point."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.folder.lock import FolderLock, FolderTakenError, require_mounted
from shoal.protocol.errors import DiskError, OperatorError

SAYS_WHY = r"cannot use the folder .*; change|lock is not a regular file with one name.*; remove it"


def test_makes_the_folder_and_takes_it(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path / "a" / "n1")
    assert (tmp_path / "a/n1/.shoal/lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_what_it_makes_outlasts_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda one: synced.append(Path(f"/proc/self/fd/{one}").readlink())
    )
    FolderLock.take(tmp_path / "a/b").release()
    assert set(synced) == {tmp_path / "a/b", tmp_path / "a", tmp_path}
    synced.clear()
    FolderLock.take(tmp_path / "a/b").release()
    assert synced == []


def test_has_one_owner_at_a_time(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path)
    with pytest.raises(FolderTakenError) as taken:
        FolderLock.take(tmp_path)
    assert taken.value.pid == os.getpid()
    lock.release()
    FolderLock.take(tmp_path).release()


def test_the_dead_own_nothing(tmp_path: Path) -> None:
    script = "import os, sys; from pathlib import Path\n"
    script += "from shoal.node.folder.lock import FolderLock\n"
    script += "lock = FolderLock.take(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", script, str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[4], check=False, timeout=30)
    assert (tmp_path / ".shoal/lock").exists()
    FolderLock.take(tmp_path).release()


@pytest.mark.parametrize("text", ["", "nonsense", "-5", "99999999999999999999999"])
def test_an_owner_without_a_number_is_an_owner(tmp_path: Path, text: str) -> None:
    lock = FolderLock.take(tmp_path)
    (tmp_path / ".shoal/lock").write_text(text)
    with pytest.raises(FolderTakenError):
        FolderLock.take(tmp_path)
    lock.release()


def test_a_shorter_number_replaces_a_longer_one_wholly(tmp_path: Path) -> None:
    (tmp_path / ".shoal").mkdir()
    (tmp_path / ".shoal/lock").write_text("1234567890123\n")
    lock = FolderLock.take(tmp_path)
    assert (tmp_path / ".shoal/lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_folder_that_cannot_be_used_is_the_operator_s_business(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "n1" / ".shoal").mkdir(parents=True)
    (tmp_path / "n1" / ".shoal" / "lock").symlink_to(tmp_path / "file")
    for folder in ("file", "n1"):
        with pytest.raises(OperatorError, match=SAYS_WHY) as refused:
            FolderLock.take(tmp_path / folder)
        assert isinstance(refused.value, DiskError)
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("name", [".shoal", ".shoal/lock"])
@pytest.mark.parametrize("what", ["link", "dangling", "hard link", "fifo", "directory", "file"])
def test_nothing_but_its_own_file_is_a_lock(tmp_path: Path, name: str, what: str) -> None:
    """Whoever may write to the folder must not have the node write to another file."""
    place, victim = tmp_path / "n1" / name, tmp_path / "victim"
    place.parent.mkdir(parents=True)
    victim.write_bytes(b"mine")
    make_it: dict[str, Callable[[], object]] = {
        "link": lambda: place.symlink_to(victim if name.endswith("lock") else tmp_path),
        "dangling": lambda: place.symlink_to(tmp_path / "nowhere"),
        "hard link": lambda: place.hardlink_to(victim),
        "fifo": lambda: os.mkfifo(place),
        "directory": place.mkdir,
        "file": lambda: place.write_bytes(b""),
    }
    make_it[what]()
    if what == ("file" if name.endswith("lock") else "directory"):
        FolderLock.take(tmp_path / "n1").release()
        return
    with pytest.raises(OperatorError, match=f"{place} is not a .*; remove it") as refused:
        FolderLock.take(tmp_path / "n1")
    assert isinstance(refused.value, DiskError)
    assert victim.read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "lock").exists()


def listed(tmp_path: Path, *mount_points: str) -> Path:
    fstab = tmp_path / "fstab"
    lines = [
        f"/dev/sdb{number} {path} ext4 defaults 0 2" for number, path in enumerate(mount_points)
    ]
    fstab.write_text(
        "\n".join(["# /dev/sda1 /srv", "", "none", *lines, "/dev/sdc none swap sw 0 0"])
    )
    return fstab


@pytest.mark.parametrize("inside", ["", "shoal/n1"])
def test_a_bare_mount_point_is_refused(tmp_path: Path, inside: str) -> None:
    place = tmp_path / "data disk"
    place.mkdir()
    fstab = listed(tmp_path, "/", str(place).replace(" ", r"\040"))
    with pytest.raises(OperatorError, match=r"data disk is not mounted; mount it") as refused:
        require_mounted(place / inside, fstab)
    assert isinstance(refused.value, DiskError)


def test_all_else_is_not(tmp_path: Path) -> None:
    require_mounted(tmp_path, listed(tmp_path, "/", "/proc", f"{tmp_path}/elsewhere"))
    require_mounted(Path("/proc/self"), listed(tmp_path, "/proc"))  # It is mounted.
    require_mounted(tmp_path, tmp_path / "no such list")

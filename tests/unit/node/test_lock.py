"""One owner of a folder (fault 100)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.lock import FolderLock, FolderTakenError
from protocol.errors import ExitCode, OperatorError


def test_makes_the_folder_and_takes_it(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path / "a" / "n1")
    assert (tmp_path / "a/n1/.shoal/lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_has_one_owner_at_a_time(tmp_path: Path) -> None:
    lock = FolderLock.take(tmp_path)
    with pytest.raises(FolderTakenError) as taken:
        FolderLock.take(tmp_path)
    assert taken.value.pid == os.getpid()
    lock.release()
    FolderLock.take(tmp_path).release()


def test_the_dead_own_nothing(tmp_path: Path) -> None:
    script = "import os, sys; from pathlib import Path; from node.lock import FolderLock\n"
    script += "lock = FolderLock.take(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    command = [sys.executable, "-c", script, str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=30)
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
        with pytest.raises(OperatorError, match=r"cannot use the folder .*; change") as refused:
            FolderLock.take(tmp_path / folder)
        assert refused.value.exit_code is ExitCode.DISK

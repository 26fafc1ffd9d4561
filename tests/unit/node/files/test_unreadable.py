"""A file that could not be read is not tried again before it changes."""

import errno
import os
from pathlib import Path

import pytest
from shoal.node.files.unreadable import Unreadable

BROKEN = OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "f"
    path.write_bytes(b"1")
    return path


def test_says_why_as_long_as_nothing_has_changed(path: Path) -> None:
    unreadable = Unreadable()
    assert unreadable.why_not(str(path), path.stat()) is None
    unreadable.note(str(path), BROKEN)
    for _ in range(2):
        assert unreadable.why_not(str(path), path.stat()) == "it cannot be read: Input/output error"


@pytest.mark.parametrize("what", ["content", "mode", "another"])
def test_any_change_is_a_reason_to_try_again(path: Path, what: str) -> None:
    unreadable = Unreadable()
    path.write_bytes(b"0")
    unreadable.note(str(path), BROKEN)
    old = path.stat()
    while path.stat().st_ctime_ns == old.st_ctime_ns:  # Until the clock of the disk has moved.
        if what == "content":
            path.write_bytes(b"2")
            os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
        elif what == "mode":
            path.chmod(0o600)
        else:
            path.with_name("other").write_bytes(b"3")
            path.with_name("other").rename(path)
    assert unreadable.why_not(str(path), path.stat()) is None
    assert unreadable.why_not(str(path), old) is None  # It is forgotten.


def test_what_has_gone_is_not_noted(tmp_path: Path) -> None:
    unreadable = Unreadable()
    unreadable.note(str(tmp_path / "gone"), BROKEN)
    assert unreadable.why_not(str(tmp_path / "gone"), tmp_path.stat()) is None

"""Disks that refuse, or share blocks: what the system would say, in its stead."""

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.node.files import libc

_FICLONERANGE = 0x4020940D  # Linux, ioctl_ficlonerange(2).
_BLOCK_BYTES = 4096


def refuse_to_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing become durable from now on."""

    class Libc:
        def syncfs(self, _: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(libc, "_libc", Libc())


def ignore_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have files be found under names that differ in case alone, as on FAT or over SMB."""
    lstat = os.lstat

    def found(path: bytes) -> os.stat_result:
        place, _, name = os.fsencode(path).rpartition(b"/")
        with os.scandir(place) as entries:
            there = [entry.name for entry in entries if entry.name.lower() == name.lower()]
        return lstat(place + b"/" + (there or [name])[0])

    monkeypatch.setattr(os, "lstat", found)


class SharingDisk:
    """Shares blocks, by copying what the source has then, or refuses to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[int, int]] = []  # From where to where, in the target.
        self.refuses: int | None = None
        self.first: Callable[[], object] = lambda: None
        monkeypatch.setattr(fcntl, "ioctl", self._clone)

    def _clone(self, target: int, request: int, argument: bytes) -> int:
        source, start, count, offset = struct.unpack("=qQQQ", argument)
        assert request == _FICLONERANGE
        self.asked.append((offset, offset + count))
        if self.refuses is not None:
            raise OSError(self.refuses, os.strerror(self.refuses))
        self.first()
        assert start % _BLOCK_BYTES == offset % _BLOCK_BYTES == count % _BLOCK_BYTES == 0
        assert os.pwrite(target, os.pread(source, count, start), offset) == count
        return 0


def fill_up(place: Path) -> Path:
    """Leave no room on the file system that `place` is on; return what takes it."""
    path = place / "other"
    with contextlib.suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return path


def rot(path: Path, at: int = 0) -> None:
    """Change a byte, and let nothing tell of it."""
    status = path.stat()
    with path.open("r+b") as damaged:
        damaged.seek(at)
        (byte,) = damaged.read(1)
        damaged.seek(at)
        damaged.write(bytes([byte ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

"""Disks that refuse: what the system would say, in the C library's stead."""

import ctypes
import errno

import pytest

from node import placing


def refuse_to_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have nothing become durable from now on."""

    class Libc:
        def syncfs(self, _: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    monkeypatch.setattr(placing, "_libc", Libc())

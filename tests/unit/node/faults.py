"""A disk of which the n-th call fails, whatever it is: all that writes, names or makes durable."""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from shoal.node.files import libc

CALLS = [
    *("write", "pwrite", "fsync", "rename", "link", "symlink", "mkdir", "ftruncate", "fchmod"),
    *("copy_file_range", "posix_fallocate"),
]
SYSTEM_CALLS = ["renameat2", "syncfs", "punch_hole"]  # Those of node.libc.
ERRORS = [errno.EIO, errno.ENOSPC]


class Faults:
    """Counts the calls while it is armed, and has one of them fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._guard = threading.Lock()
        self._left = 0
        self._number = 0
        self.failed: str | None = None  # The call that failed.
        for name in CALLS:
            monkeypatch.setattr(os, name, self._failing(name, getattr(os, name)))
        for name in SYSTEM_CALLS:
            monkeypatch.setattr(libc, name, self._failing(name, getattr(libc, name)))
        monkeypatch.setattr(os, "open", self._opening(os.open))

    @contextmanager
    def armed(self, at: int, number: int) -> Iterator[None]:
        """Have the call `at`, counted from 1, fail with this errno."""
        self._left, self._number, self.failed = at, number, None
        try:
            yield
        finally:
            self._left = 0

    def _failing(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self._count(name)
            return call(*arguments, **named)

        return wrapped

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def wrapped(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR):
                self._count("open")
            return call(path, flags, *arguments, **named)

        return wrapped

    def _count(self, name: str) -> None:
        with self._guard:
            was_left, self._left = self._left, max(self._left - 1, 0)
            is_it = was_left == 1
            if is_it:
                self.failed = name
        if is_it:
            raise OSError(self._number, os.strerror(self._number))

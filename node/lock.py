"""One owner of a folder: a lock that the kernel takes back from the dead. Waits for nobody."""

import fcntl
import os
from pathlib import Path
from typing import Self

from protocol.errors import ExitCode, OperatorError


class FolderTakenError(Exception):
    """Another process owns the folder; `pid` is its process id, as far as it is known."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"owned by process {pid}")
        self.pid = pid


class FolderLock:
    """The ownership of one node's folder, until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take `folder`, made if need be.

        Raises:
            FolderTakenError: another process has it.
            OperatorError: it cannot be made or written to.
        """
        try:
            (folder / ".shoal").mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(folder / ".shoal" / "lock", flags, 0o644)
        except OSError as error:
            message = f"cannot use the folder {folder}: {error.strerror}"
            remedy = "change its permissions, or the folder in the cluster file"
            raise OperatorError(f"{message}; {remedy}", ExitCode.DISK) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(descriptor, 20, 0).strip()
            os.close(descriptor)
            raise FolderTakenError(int(text) if text.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        os.close(self._descriptor)

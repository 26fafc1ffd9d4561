"""One owner of a folder: a lock that the kernel releases when its process ends.

Waits for nobody, and mounts nothing: a folder whose file system is not mounted is refused.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
import weakref
from pathlib import Path
from typing import Self

from shoal.node.files.directories import is_directory, opened
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.names import display

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_FSTAB = Path("/etc/fstab")
_OCTAL = re.compile(r"\\([0-7]{3})")  # As in \040, a blank (fstab(5)).
_NOT_OURS = {errno.ELOOP, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENXIO}


class FolderTakenError(Exception):
    """Another process owns the folder; `pid` is its process id, as far as it is known."""

    def __init__(self, pid: int | None) -> None:
        super().__init__(f"owned by process {pid}")
        self.pid = pid


class FolderLock:
    """The ownership of one node's folder, until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _HELD.add(self)

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take `folder`, made if need be.

        Raises:
            FolderTakenError: another process has it.
            OperatorError: it cannot be made or written to, is not mounted, or its `.shoal` is not
                one of ours.
        """
        require_mounted(folder)
        descriptor = _open(folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(descriptor, 20, 0).strip()
            os.close(descriptor)
            raise FolderTakenError(int(text) if text.isdigit() else None) from None
        os.ftruncate(descriptor, 0)
        with contextlib.suppress(OSError):  # On a full disk the owner has no number, but a lock.
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        _HELD.discard(self)
        os.close(self._descriptor)

    def leave_to_parent(self) -> None:
        """Let go of it in a child after a fork: else it is held for as long as the child lives."""
        os.close(self._descriptor)


_HELD: "weakref.WeakSet[FolderLock]" = weakref.WeakSet()


def _after_fork() -> None:
    for lock in list(_HELD):
        lock.leave_to_parent()
    _HELD.clear()


os.register_at_fork(after_in_child=_after_fork)


def _open(folder: Path) -> int:
    """Open the lock's file, and nothing that only has its name: it is written to."""
    state = folder / ".shoal"
    try:
        _make(state)
        directory = os.open(state, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
        try:
            descriptor = os.open("lock", os.O_RDWR | os.O_CREAT | _OPEN, 0o644, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in _NOT_OURS and os.path.lexists(state):
            raise _not_ours(state / "lock" if is_directory(str(state)) else state) from None
        message = f"cannot use the folder {folder}: {error.strerror}"
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        remedy = "free some space" if is_full else "change its permissions"
        if error.errno == errno.EROFS:
            remedy = "give the node a state_folder elsewhere"
        remedy += ", or choose another folder in the cluster file"
        raise DiskError(f"{message}; {remedy}") from None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return descriptor
    os.close(descriptor)
    raise _not_ours(state / "lock")


def _make(state: Path) -> None:
    """Make a directory and those above it, durably: else all that comes into it can be lost."""
    missing = [one for one in (state, *state.parents) if not os.path.lexists(one)]
    state.mkdir(parents=True, exist_ok=True)
    for one in missing:
        with opened(one.parent.resolve()) as directory:
            os.fsync(directory)


def _not_ours(path: Path) -> OperatorError:
    kind = "a regular file with one name" if path.name == "lock" else "a directory"
    return DiskError(f"{path} is not {kind}, as shoal makes it; remove it")


def require_mounted(folder: Path, fstab: Path = _FSTAB) -> None:
    """Raise OperatorError if `folder` is to lie on a file system that is not mounted.

    What is written to the bare mount point would be hidden by it later. A file system that only
    scripts mount, and the list does not name, cannot be told.
    """
    try:
        lines = fstab.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    place = Path(os.path.realpath(folder))
    for mount_point in filter(None, map(_mount_point, lines)):
        is_above = place.is_relative_to(mount_point) and mount_point != Path("/")
        if is_above and not os.path.ismount(mount_point):
            message = f"cannot use the folder {display(str(folder))}: {display(str(mount_point))}"
            remedy = f"mount it, or take it out of {fstab}"
            raise DiskError(f"{message} is not mounted; {remedy}")


def _mount_point(line: str) -> Path | None:
    fields = line.split()
    if len(fields) < 2 or line.lstrip().startswith("#"):  # noqa: PLR2004 (device, mount point)
        return None
    path = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1])
    return Path(path) if path.startswith("/") else None

"""Writes files so that a kill or a power cut at any moment leaves the old or the new, whole."""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

SECRET_MODE = 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_secret(path: Path, content: bytes, owner: os.stat_result) -> None:
    """Make a file that nobody else can read at any time, and make it durable.

    What has the name is replaced, whatever it is. Root gives the file to who has `owner`.

    Raises:
        OSError: it cannot be written.
    """
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    descriptor = os.open(path, _NEW, SECRET_MODE)
    try:
        os.fchmod(descriptor, SECRET_MODE)  # Whatever the umask has taken away.
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        _write(descriptor, content)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes, check: Callable[[Path], None]) -> None:
    """Replace a file's content; its mode, owner and extended attributes stay.

    Args:
        path: of the file; a link is followed.
        content: the new one.
        check: is given the path of the new file before it is put in place, and may raise.

    Raises:
        OSError: it cannot be written.
    """
    target = Path(os.path.realpath(path))
    before = target.stat()
    new = target.with_name(f".{target.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    descriptor = os.open(new, _NEW, SECRET_MODE)
    try:
        try:
            _write(descriptor, content)
            if (os.geteuid(), os.getegid()) != (before.st_uid, before.st_gid):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            _copy_attributes(target, descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        check(new)
        new.replace(target)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.fsync(descriptor)


def _copy_attributes(source: Path, descriptor: int) -> None:
    """Copy what the file system keeps besides, such as access control lists, where it does."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(source):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(source, name))

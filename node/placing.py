"""Gives what was made aside its name, in one step, whatever stood there before."""

import contextlib
import ctypes
import errno
import os
import shutil
from pathlib import Path

from node.paths import parent_of
from protocol.errors import ExitCode, OperatorError
from protocol.names import display

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux, renameat2(2): two names change places in one step.

_libc = ctypes.CDLL(None, use_errno=True)


def put_in_place(made: Path, folder: Path, name: str) -> None:
    """Move `made`, on the same file system, to `name` in `folder`, durably.

    What stood under the name, a file or a directory, is gone afterwards.

    Raises:
        OperatorError: something that is neither stands in the way.
        OSError: the disk refused.
    """
    with parent_of(folder, name) as (directory, last):
        if made.is_dir() or _is_directory(last, directory):
            _replace(made, directory, last)
        else:
            os.rename(made, last, dst_dir_fd=directory)
        os.fsync(directory)
    remove(made)


def put_outside(made: Path, target: Path) -> None:
    """Move `made` to `target`, on whatever file system that is.

    Raises:
        OperatorError: something that must not be replaced stands there.
        OSError: the disk refused.
    """
    target = target.resolve()
    if target.exists() and (not target.is_file() or made.is_dir()):  # Not even /dev/null.
        message = f"cannot write {display(str(target))}: it is there already, and"
        message += " a directory does not replace it" if made.is_dir() else " no file"
        raise OperatorError(f"{message}; choose another place", ExitCode.DISK)
    try:
        made.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(made, target)


def sync(directory: Path) -> None:
    """Make everything on the file system of `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file or a whole directory, as far as it goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _is_directory(last: str, directory: int) -> bool:
    try:
        os.close(os.open(last, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory))
    except OSError:
        return False
    return True


def _replace(made: Path, directory: int, last: str) -> None:
    """Rename where one of both is a directory, which plain rename refuses."""
    old, new = os.fsencode(made), os.fsencode(last)
    if _libc.renameat2(_AT_FDCWD, old, directory, new, _RENAME_EXCHANGE) == 0:
        return
    if ctypes.get_errno() not in {errno.ENOENT, errno.EINVAL, errno.ENOSYS}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    aside = made.with_name(f"{made.name}.replaced")
    with contextlib.suppress(FileNotFoundError):  # The file system cannot exchange: two steps.
        os.rename(last, aside, src_dir_fd=directory)
    os.rename(made, last, dst_dir_fd=directory)
    remove(aside)


def _copy(made: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name[:200]}.shoal-part")
    try:
        if made.is_dir():
            shutil.copytree(made, aside, symlinks=True)
        else:
            shutil.copy(made, aside)
        sync(aside.parent)
        aside.rename(target)
    except BaseException:
        remove(aside)
        raise

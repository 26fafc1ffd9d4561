"""Gives what was made aside its name, in one step, whatever stood there before."""

import contextlib
import ctypes
import errno
import os
import shutil
from pathlib import Path

from node.directories import is_directory, opened, sweep
from node.paths import parent_of
from protocol.errors import ExitCode, OperatorError
from protocol.names import display

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux, renameat2(2): two names change places in one step.
_ASIDE_BYTES = 200  # Of a name, which may have 255.

_libc = ctypes.CDLL(None, use_errno=True)


def put_in_place(made: Path, folder: Path, name: str) -> None:
    """Move `made`, on the same file system, to `name` in `folder`, durably.

    What stood under the name, a file or a directory, is gone afterwards.

    Raises:
        OperatorError: something that is neither stands in the way.
        OSError: the disk refused.
    """
    with parent_of(folder, name) as (directory, last):
        if made.is_dir() or is_directory(last, directory):
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


def remove(path: Path | str | bytes, above: int | None = None) -> None:
    """Remove a file or a whole directory, as far as it goes; `path` counts from `above`."""
    with contextlib.suppress(OSError):
        os.unlink(path, dir_fd=above)
        return
    with contextlib.suppress(OSError), opened(path, above) as directory:
        sweep(directory, lambda _, __: False)
    with contextlib.suppress(OSError):
        os.rmdir(path, dir_fd=above)


def _replace(made: Path, directory: int, last: str) -> None:
    """Rename where one of both is a directory, which plain rename refuses."""
    if _exchange(made, directory, last):
        return
    aside = made.with_name(f"{made.name}.replaced")  # In two steps.
    remove(aside)  # A try that was cut off may have left it.
    with contextlib.suppress(FileNotFoundError):
        os.rename(last, aside, src_dir_fd=directory)
    try:
        os.rename(made, last, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.rename(aside, last, dst_dir_fd=directory)
        raise
    remove(aside)


def _exchange(made: Path, directory: int, last: str) -> bool:
    """Let both names change places; say if that cannot be done here, or one is not there."""
    try:
        renameat2 = _libc.renameat2
    except AttributeError:  # Some C libraries have no such function.
        return False
    old, new = os.fsencode(made), os.fsencode(last)
    if renameat2(_AT_FDCWD, old, directory, new, _RENAME_EXCHANGE) == 0:
        return True
    if ctypes.get_errno() not in {errno.ENOENT, errno.EINVAL, errno.ENOSYS}:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return False


def _copy(made: Path, target: Path) -> None:
    """Copy into a directory that nobody else may write to, as all may where it is made."""
    name = target.name.encode()[:_ASIDE_BYTES].decode(errors="ignore")
    aside = target.with_name(f".{name}.shoal-part")
    remove(aside)  # A try that was cut off may have left it.
    try:
        aside.mkdir(0o700)
        _copy_all(made, aside / "made")
        sync(aside)
        (aside / "made").rename(target)
    finally:
        remove(aside)


def _copy_all(made: Path, copy: Path) -> None:
    """Copy what shutil.copytree would, however deep."""
    if made.is_symlink() or not made.is_dir():
        shutil.copy(made, copy, follow_symlinks=False)
        return
    copy.mkdir()
    inside = [""]
    for directory in inside:  # It grows.
        with os.scandir(made / directory) as found:
            for entry in found:
                path = f"{directory}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    (copy / path).mkdir()
                    inside.append(f"{path}/")
                else:
                    shutil.copy(entry.path, copy / path, follow_symlinks=False)

"""Gives a file or directory that was made aside its name, in one step.

Replaces only what the caller allows (`MayGo`), who is asked at the last moment.
"""

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from shoal.node.files import libc
from shoal.node.files.directories import is_directory, opened, sweep
from shoal.node.files.paths import parent_of

# Says whether the file or directory at a path, whose name is about to go to another, may be lost.
MayGo = Callable[[bytes], bool]

LOOKS = 10  # At a name under which things come and go.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_CANNOT_LINK = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class InTheWayError(Exception):
    """Something has the name already and must not be replaced. It still has it."""


def nothing(_: bytes) -> bool:
    """Let nothing go."""
    return False


def put_in_place(
    made: Path,
    folder: Path,
    name: str,
    may_go: MayGo = nothing,
    moving: contextlib.AbstractContextManager[None] | None = None,
) -> None:
    """Move `made`, on the same file system, to `name` in `folder`, durably.

    A file or directory that had the name is gone afterwards; for a moment it is where `made` was.
    `moving` is held while the names change.

    Raises:
        InTheWayError: it may not go.
        OperatorError: something that is neither is in the way.
        OSError: the disk refused.
    """
    with parent_of(folder, name) as (directory, last):
        with moving or contextlib.nullcontext():
            is_replaced = give_name(os.fsencode(made), directory, last, may_go)
        try:
            os.fsync(directory)
        finally:
            if is_replaced:
                remove(made)


def give_name(made: bytes, directory: int, last: str, may_go: MayGo) -> bool:
    """Give `made` the name `last` in `directory`; say whether something is where `made` was.

    Whether the other may go is asked before and, once both have exchanged their names in one step,
    again: if it may no longer go, they change back. Where the file system cannot
    exchange names (renameat2(2): EINVAL, ENOSYS), it is looked at right before it is replaced,
    which leaves some microseconds for somebody to change it.

    Raises:
        InTheWayError: the name is taken by something that may not go.
        OSError: the disk refused.
    """
    there = os.fsencode(f"/proc/self/fd/{directory}/{last}")
    for _ in range(LOOKS):
        with contextlib.suppress(FileExistsError):
            rename_new(made, directory, last)
            return False
        if not may_go(there):
            raise InTheWayError
        try:
            if not _exchange(made, directory, last):
                return _replace(made, directory, last, may_go)
        except FileNotFoundError:
            if not os.path.lexists(made):
                raise
            continue  # The other one has just gone.
        if may_go(made):
            return True
        _change_back(made, directory, last)
        break
    raise InTheWayError


def rename_new(made: bytes, directory: int, last: str) -> None:
    """Give `made` a name that nothing has; raise FileExistsError if something does.

    Where renameat2(2) cannot do that, a file gets the name by link(2) and a directory takes the
    place of an empty one; only where there are no links either is it looked first.
    """
    try:
        libc.renameat2(libc.AT_FDCWD, made, directory, os.fsencode(last), libc.RENAME_NOREPLACE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if is_directory(made):
            _move_directory(made, directory, last)
        else:
            _move_file(made, directory, last)


def take_out(directory: int, last: str, aside: bytes, may_go: MayGo) -> None:
    """Remove `last` from `directory` by way of `aside`, on the same file system.

    Raises:
        InTheWayError: it may not go; it is still there.
        OSError: the disk refused.
    """
    if not may_go(os.fsencode(f"/proc/self/fd/{directory}/{last}")):
        raise InTheWayError
    remove(aside)
    os.rename(last, aside, src_dir_fd=directory)
    if not may_go(aside):
        rename_new(aside, directory, last)
        raise InTheWayError
    remove(aside)


def remove(
    path: Path | str | bytes, above: int | None = None, check: Callable[[], None] = lambda: None
) -> None:
    """Remove a file or a whole directory, as far as it goes; `path` counts from `above`.

    `check` is called before each file and directory, and may raise an error: there may be millions.
    """
    with contextlib.suppress(OSError):
        os.unlink(path, dir_fd=above)
        return
    with contextlib.suppress(OSError), opened(path, above) as directory:
        sweep(directory, lambda _, __: False, check)
    with contextlib.suppress(OSError):
        os.rmdir(path, dir_fd=above)


def _exchange(made: bytes, directory: int, last: str) -> bool:
    """Let both names change places; say if that cannot be done here."""
    try:
        libc.renameat2(libc.AT_FDCWD, made, directory, os.fsencode(last), libc.RENAME_EXCHANGE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return False
    return True


def _change_back(made: bytes, directory: int, last: str) -> None:
    """Undo an exchange: the thing at `made` is the user's, and must not stay there."""
    try:
        _exchange(made, directory, last)
    except FileNotFoundError:  # The new one has been removed meanwhile.
        rename_new(made, directory, last)
    except OSError:  # Then in two steps.
        os.rename(last, made + b".unnamed", src_dir_fd=directory)
        rename_new(made, directory, last)
        os.rename(made + b".unnamed", made)
        raise


def _replace(made: bytes, directory: int, last: str, may_go: MayGo) -> bool:
    """Replace where names cannot be exchanged."""
    if not is_directory(made) and not is_directory(last, directory):
        os.rename(made, last, dst_dir_fd=directory)
        return False
    aside = made + b".replaced"  # In two steps.
    remove(aside)  # A try that was cut off may have left it.
    os.rename(last, aside, src_dir_fd=directory)
    try:
        is_spare = may_go(aside)
        if is_spare:
            rename_new(made, directory, last)
    except OSError:
        rename_new(aside, directory, last)
        raise
    if not is_spare:
        rename_new(aside, directory, last)
        raise InTheWayError
    remove(aside)
    return False


def _move_directory(made: bytes, directory: int, last: str) -> None:
    os.mkdir(last, dir_fd=directory)
    try:
        os.rename(made, last, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.rmdir(last, dir_fd=directory)
        raise


def _move_file(made: bytes, directory: int, last: str) -> None:
    try:
        os.link(made, last, dst_dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        if os.path.lexists(f"/proc/self/fd/{directory}/{last}"):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), last) from None
        os.rename(made, last, dst_dir_fd=directory)
    else:
        os.unlink(made)

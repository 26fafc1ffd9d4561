"""Puts fetched files and directories where `--output` or `--to` says, on any file system.

Replaces nothing that it may not replace, and never follows a link.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from shoal.node.files.durable import FileSystem
from shoal.node.files.holes import copy_bytes
from shoal.node.files.placing import InTheWayError, MayGo, give_name, remove, rename_new
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import RESERVED_FOLDER, display

_ASIDE_BYTES = 200  # Of a name, which may have 255.
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def check_output(target: Path, *, may_replace: bool) -> None:
    """Raise OperatorError if nothing can be put at `target`.

    Never in a node's `.shoal`, nor through a link. Only a regular file is ever replaced, if
    `may_replace`.
    """
    try:
        with _parent_of(target):
            pass
    except OSError:
        message = f"{display(str(target))} is in no directory that exists"
        raise OperatorError(f"{message}; create the directory first") from None
    try:
        status = target.lstat()
    except FileNotFoundError:
        return
    if not may_replace or not stat.S_ISREG(status.st_mode):
        raise _in_the_way(target, status, is_forced=may_replace)


def put_outside(made: Path, target: Path, *, may_replace: bool = False) -> None:
    """Move `made` to `target`, on whatever file system that is, durably.

    Raises:
        OperatorError: something is there; it is only replaced, a file by a file, if `may_replace`.
        OSError: the disk refused.
    """
    is_file = not made.is_dir()

    def may_go(there: bytes) -> bool:
        return may_replace and is_file and stat.S_ISREG(os.lstat(there).st_mode)

    with _parent_of(target) as directory:
        try:
            try:
                _give_name(made, directory, target.name, may_go)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with _copy(made, target.name, directory) as copy:
                    _give_name(copy, directory, target.name, may_go)
        except InTheWayError:
            raise _in_the_way(target, target.lstat(), is_forced=may_replace) from None


def _give_name(made: Path, directory: int, name: str, may_go: MayGo) -> None:
    """Give `made` the name, durably; else take it back, or the next try would be refused."""
    status = made.lstat()
    is_replaced = give_name(os.fsencode(made), directory, name, may_go)
    try:
        os.fsync(directory)
    except OSError:
        with contextlib.suppress(OSError, InTheWayError):
            _take_back(os.fsencode(made), status, directory, name, is_replaced=is_replaced)
        raise


def _take_back(
    made: bytes, status: os.stat_result, directory: int, name: str, *, is_replaced: bool
) -> None:
    """Undo `give_name`, unless somebody has put something else there meanwhile."""

    def is_it(at: bytes) -> bool:
        return os.path.samestat(os.lstat(at), status)

    if is_replaced:
        give_name(made, directory, name, is_it)
    else:
        os.rename(name, made, src_dir_fd=directory)
        if not is_it(made):
            rename_new(made, directory, name)


@contextlib.contextmanager
def _parent_of(target: Path) -> Iterator[int]:
    """Give a descriptor of the directory that `target` is in; OperatorError in a `.shoal`."""
    descriptor = os.open(target.parent, _DIRECTORY)
    try:
        place = Path(f"/proc/self/fd/{descriptor}").readlink() / target.name
        if RESERVED_FOLDER in place.parts:
            message = f"{display(str(target))} is in a node's own {RESERVED_FOLDER} folder"
            raise OperatorError(f"{message}; choose another path")
        yield descriptor
    finally:
        os.close(descriptor)


def _in_the_way(target: Path, status: os.stat_result, *, is_forced: bool) -> OperatorError:
    message, remedy = f"{display(str(target))} already exists", "choose another path"
    if stat.S_ISDIR(status.st_mode):
        message += " and is a directory"
    elif not stat.S_ISREG(status.st_mode):
        message += " and is not a regular file"
    elif is_forced:
        message += ", and a directory never replaces a file"
    else:
        remedy += ", or pass --force to replace a file with a file"
    return OperatorError(f"{message}; {remedy}")


@contextlib.contextmanager
def _copy(made: Path, name: str, directory: int) -> Iterator[Path]:
    """Copy into a directory that nobody else may write to, as all may where it is made."""
    name = name.encode()[:_ASIDE_BYTES].decode(errors="ignore")
    aside = Path(f"/proc/self/fd/{directory}/.{name}.shoal-part")
    remove(aside)  # A try that was cut off may have left it.
    try:
        aside.mkdir(0o700)
        with contextlib.closing(FileSystem.of(aside)) as disk:
            _copy_all(made, aside / "made")
            disk.sync()
        yield aside / "made"
    finally:
        remove(aside)


def _copy_all(made: Path, copy: Path) -> None:
    """Copy as shutil.copytree does, however deep."""
    if made.is_symlink() or not made.is_dir():
        _copy_one(made, copy)
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
                    _copy_one(Path(entry.path), copy / path)


def _copy_one(made: Path, copy: Path) -> None:
    """Copy a file with its mode and its holes, or a link."""
    if made.is_symlink():
        copy.symlink_to(made.readlink())
        return
    source = os.open(made, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(source)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is a named pipe, a socket or a device", str(made))
        target = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            copy_bytes(source, target, status.st_size, lambda _: None)
            os.fchmod(target, stat.S_IMODE(status.st_mode))
        finally:
            os.close(target)
    finally:
        os.close(source)

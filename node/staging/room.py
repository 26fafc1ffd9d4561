"""Room on the disk that things are staged on, and what to say when it refuses."""

import errno
import os
import shutil
from pathlib import Path

from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.names import display

SHOWN_CHARACTERS = 100  # Of a path that is too long for the disk.


def require_room(place: Path, size_bytes: int) -> None:
    """Raise OSError (ENOSPC) if the disk has no room for so many bytes."""
    if size_bytes > free_bytes(place):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def free_bytes(place: Path) -> int:
    return shutil.disk_usage(place).free


def disk_trouble(error: OSError, name: str, folder: Path) -> OperatorError:
    """Return what to tell the operator about a disk that refused."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        cause, remedy = "the disk is full", "free some space and run it again to resume"
    elif error.errno == errno.ENAMETOOLONG:
        path = os.fsdecode(error.filename or "").partition("/tree/")[2]
        shown = path if len(path) <= SHOWN_CHARACTERS else f"{path[:SHOWN_CHARACTERS]}…"
        cause = f"the path of {display(shown)} is too long for it"
        remedy = "--exclude it, or give an --output with a shorter path"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        cause, remedy = "permission denied", "change its permissions, or use another folder"
    elif error.errno == errno.EROFS:
        cause, remedy = "it is read-only", "mount it writable, or use another folder"
    else:
        cause, remedy = error.strerror or str(error), "check the disk and run it again"
    message = f"cannot write {display(name)} in {folder}: {cause}; {remedy}"
    return DiskError(message, brief=f"{cause}; {remedy.partition(' and run it again')[0]}")

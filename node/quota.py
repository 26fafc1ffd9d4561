"""How much a node's folder may take in. Counts bytes of files, not blocks."""

import contextlib
import os
import stat
from pathlib import Path

from protocol.errors import ExitCode, OperatorError
from protocol.names import RESERVED_FOLDER, display

GB = 1_000_000_000


class Quota:
    """The limit on what lies in one folder; none: the disk is the limit."""

    def __init__(self, folder: Path, node: str, limit_bytes: int | None) -> None:
        self._folder = folder
        self._node = node
        self._limit_bytes = limit_bytes

    def require(self, name: str, size_bytes: int, *, replaces: bool = True) -> None:
        """Raise OperatorError if the folder may not take in so many bytes under `name`.

        What stands under that name now does not count, if what is taken in `replaces` it.
        """
        if self._limit_bytes is None:
            return
        others = {RESERVED_FOLDER, name} if replaces else {RESERVED_FOLDER}
        used_bytes = sum(
            bytes_below(path) for path in self._folder.iterdir() if path.name not in others
        )
        if used_bytes + size_bytes <= self._limit_bytes:
            return
        message = (
            f"{display(name)} ({size_bytes / GB:.2f} GB) is more than the quota of {self._node}"
            f" leaves: {used_bytes / GB:.2f} of {self._limit_bytes / GB:.2f} GB are used"
        )
        remedy = f"`shoal forget NAME --delete --as {self._node}` makes room"
        raise OperatorError(f"{message}; {remedy}, or raise quota_gb", ExitCode.DISK)


def bytes_below(path: Path) -> int:
    """Return the bytes of all files in a directory, or of a file; links have none.

    What cannot be looked at has none either: it may just have gone.
    """
    total = 0
    waiting = [str(path)]
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):
            status = os.lstat(place)
            if stat.S_ISREG(status.st_mode):
                total += status.st_size
            elif stat.S_ISDIR(status.st_mode):
                with os.scandir(place) as entries:
                    waiting += (entry.path for entry in entries)
    return total

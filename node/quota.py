"""How much a node's folder may take in. Counts bytes of files, not blocks."""

import os
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

    def require(self, name: str, size_bytes: int) -> None:
        """Raise OperatorError if the folder may not take in `name`, which has so many bytes.

        What stands under that name now does not count: it will be replaced.
        """
        if self._limit_bytes is None:
            return
        used_bytes = sum(
            bytes_below(path)
            for path in self._folder.iterdir()
            if path.name not in {RESERVED_FOLDER, name}
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
    """Return the bytes of all files in a directory, or of a file; links have none."""
    if path.is_symlink():
        return 0
    if not path.is_dir():
        return path.lstat().st_size
    total = 0
    waiting = [str(path)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return total

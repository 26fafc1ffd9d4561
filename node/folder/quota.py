"""How much a node's folder may take in. Counts bytes of files, not blocks.

The partial files of fetches count too, but by their blocks, as most of their bytes are missing.
"""

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple

from shoal.protocol.errors import DiskError
from shoal.protocol.names import RESERVED_FOLDER, display

GB = 1_000_000_000
BLOCK_BYTES = 512  # As stat(2) counts them, whatever a file system's own are.


class Quota:
    """The limit on the contents of one folder; without one, the disk is the limit."""

    def __init__(self, folder: Path, node: str, limit_bytes: int | None) -> None:
        self._folder = folder
        self._node = node
        self._limit_bytes = limit_bytes

    def require(
        self, name: str, size_bytes: int, *, replaces: bool = True, staged: str = ""
    ) -> None:
        """Raise OperatorError if the folder may not take in so many bytes under `name`.

        The thing under that name now does not count, if it will be replaced (`replaces`), nor do
        the bytes that have been fetched of the thing with the id `staged`.
        """
        if self._limit_bytes is None:
            return
        others = {RESERVED_FOLDER, name} if replaces else {RESERVED_FOLDER}
        used_bytes = sum(
            bytes_below(path) for path in self._folder.iterdir() if path.name not in others
        )
        left_bytes = self._left_bytes(staged)
        used_bytes += left_bytes
        if used_bytes + size_bytes <= self._limit_bytes:
            return
        used = f"{used_bytes / GB:.2f} of {self._limit_bytes / GB:.2f} GB are used"
        size = f"{size_bytes / GB:.2f} GB"
        message = f"{display(name)} ({size}) is more than the quota of {self._node} leaves: {used}"
        remedy = f"`shoal forget NAME --delete --as {self._node}` makes room"
        if left_bytes:
            message += f", {left_bytes / GB:.2f} GB by other fetches that run or were interrupted"
            remedy += f", `shoal fetch NAME --discard --as {self._node}` too"
        brief = f"its quota leaves less than {size}: {used}"
        raise DiskError(
            f"{message}; {remedy}, or raise quota_gb", brief=f"{brief}; {remedy}, or raise quota_gb"
        )

    def _left_bytes(self, staged: str) -> int:
        places: list[Path] = []
        with contextlib.suppress(OSError):
            places = list((self._folder / RESERVED_FOLDER / "partial").iterdir())
        others = (one for one in places if one.name != staged.removeprefix("b3:"))
        return sum(used_below(one).on_disk_bytes for one in others)


class Used(NamedTuple):
    """The space that files take; `changed_s` is the newest time of any file or directory."""

    size_bytes: int
    on_disk_bytes: int
    changed_s: float


def bytes_below(path: Path) -> int:
    """Return the bytes of all files in a directory, or of a file; links have none."""
    return used_below(path).size_bytes


def used_below(path: Path) -> Used:
    """Return what all files in a directory take, or a file; links take nothing.

    Unreadable directories take nothing either: they may just have gone.
    """
    size_bytes = blocks = 0
    changed_s = 0.0
    waiting = [str(path)]
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(OSError):
            status = os.lstat(place)
            changed_s = max(changed_s, status.st_mtime)
            if stat.S_ISREG(status.st_mode):
                size_bytes += status.st_size
                blocks += status.st_blocks
            elif stat.S_ISDIR(status.st_mode):
                with os.scandir(place) as entries:
                    waiting += (entry.path for entry in entries)
    return Used(size_bytes, blocks * BLOCK_BYTES, changed_s)

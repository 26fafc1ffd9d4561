"""A file system whose disk has less room than it says, and loses what was written: for tests.

An ext4 image on a RAM disk that is too small for it. Linux learns that when it writes the pages,
and counts them as written from then on, although only memory has them.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
IMAGE_MEBIBYTES = 64
ROOM_MEBIBYTES = 8


class FailingDisk(NamedTuple):
    """Where it is mounted, and the RAM disk beneath."""

    path: Path
    beneath: Path
    more_mebibytes: int = 2 * ROOM_MEBIBYTES  # More than it has room for.

    def mend(self) -> None:
        """Give it all the room that it says it has."""
        _call("mount", "-o", f"remount,size={2 * IMAGE_MEBIBYTES}m", self.beneath)


@contextlib.contextmanager
def failing_disk(folder: Path) -> Iterator[FailingDisk]:
    """Mount one; skip the test where that cannot be done."""
    if shutil.which("mkfs.ext4", path=PATH) is None:
        pytest.skip("there is no mkfs.ext4 here")
    disk = FailingDisk(folder / "disk", folder / "beneath")
    image = disk.beneath / "image"
    with contextlib.ExitStack() as stack:
        for place in (disk.path, disk.beneath):
            place.mkdir()
        try:
            _call("mount", "-t", "tmpfs", "-o", f"size={ROOM_MEBIBYTES}m", "none", disk.beneath)
            stack.callback(_call, "umount", "-l", disk.beneath)
            with image.open("wb") as file:
                file.truncate(IMAGE_MEBIBYTES << 20)
            _call(
                "mkfs.ext4", "-q", "-O", "^has_journal", image
            )  # A journal would make it read-only.
            _call("mount", "-o", "loop", image, disk.path)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no ext4 can be mounted here: {error.stderr.strip()}")
        stack.callback(_call, "umount", "-l", disk.path)
        yield disk


def _call(*command: str | Path) -> None:
    env = {**os.environ, "PATH": PATH}
    subprocess.run(command, env=env, capture_output=True, text=True, check=True)

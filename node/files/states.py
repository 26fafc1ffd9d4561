"""How files were when their bytes were right, in columns: there may be a million of them."""

import array
import os
import stat
from collections.abc import Sequence

from shoal.node.files.signature import TIME_BITS, Fits, Signature
from shoal.protocol import manifest


class FileStates:
    """What the files of a tree, by their numbers, are taken to be the same by."""

    def __init__(self, sizes: Sequence[int] = (), are_executable: bytes = b"") -> None:
        """Begin with files of whose states only so much is known; `note` the rest."""
        self.sizes = array.array("Q", sizes)
        self.mtimes = array.array("Q", bytes(8 * len(sizes)))
        self.inodes = array.array("Q", bytes(8 * len(sizes)))  # 0, which no file has: not noted.
        self._are_executable = bytearray(are_executable)

    def add(self, status: os.stat_result) -> bool:
        """Take in one more; say whether it may be run."""
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        self.sizes.append(status.st_size)
        self.mtimes.append(status.st_mtime_ns & TIME_BITS)
        self.inodes.append(status.st_ino)
        self._are_executable.append(is_executable)
        return is_executable

    def without(self, file: int) -> "FileStates":
        """Return the same of all files but one."""
        others = FileStates()
        others.sizes = self.sizes[:file] + self.sizes[file + 1 :]
        others.mtimes = self.mtimes[:file] + self.mtimes[file + 1 :]
        others.inodes = self.inodes[:file] + self.inodes[file + 1 :]
        others._are_executable = self._are_executable[:file] + self._are_executable[file + 1 :]
        return others

    def are_executable(self) -> bytes:
        """Return a byte for each file: 1 if it may be run, else 0."""
        return bytes(self._are_executable)

    def note(self, file: int, status: os.stat_result) -> None:
        """Take in which file it is that has such a size and may be run or not, and of when."""
        self.mtimes[file] = status.st_mtime_ns & TIME_BITS
        self.inodes[file] = status.st_ino

    def forget(self, file: int) -> None:
        """Take nothing for known of a file that changes."""
        self.inodes[file] = 0

    def is_noted(self, file: int) -> bool:
        return self.inodes[file] != 0

    def fits(self, file: int) -> Fits:
        """Return what says whether a file with some status is the one that it was."""
        mode = manifest.EXECUTABLE_MODE if self._are_executable[file] else manifest.PLAIN_MODE
        return Signature(self.sizes[file], self.mtimes[file], self.inodes[file], mode).fits

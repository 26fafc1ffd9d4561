"""The states of files when their bytes were right, in columns: there may be a million of them."""

import array
import os
import stat
from collections.abc import Sequence

from shoal.node.files.signature import TIME_BITS, Fits, Signature
from shoal.protocol import manifest


class FileStates:
    """The states of a tree's files, by number: while they are the same, so are the bytes."""

    def __init__(self, sizes: Sequence[int] = (), are_executable: bytes = b"") -> None:
        """Begin with files of whose states only so much is known; `note` the rest."""
        self.sizes = array.array("Q", sizes)
        self.mtimes = array.array("Q", bytes(8 * len(sizes)))
        self.inodes = array.array("Q", bytes(8 * len(sizes)))  # 0, which no file has: not noted.
        self.ctimes = array.array("Q", bytes(8 * len(sizes)))  # 0: it does not count.
        self.executables = bytearray(are_executable)

    def add(self, status: os.stat_result, *, is_outside: bool = False) -> bool:
        """Take in one more, which may be outside a node's folder; say whether it may be run."""
        is_executable = bool(status.st_mode & stat.S_IXUSR)
        self.sizes.append(status.st_size)
        self.mtimes.append(status.st_mtime_ns & TIME_BITS)
        self.inodes.append(status.st_ino)
        self.ctimes.append(status.st_ctime_ns & TIME_BITS if is_outside else 0)
        self.executables.append(is_executable)
        return is_executable

    def copy(self) -> "FileStates":
        """Return the same once more, to be changed."""
        copy = FileStates()
        copy.extend(self, 0, len(self.sizes))
        return copy

    def extend(self, other: "FileStates", start: int, end: int) -> None:
        """Take in more files: those from `start` to before `end` of another."""
        self.sizes += other.sizes[start:end]
        self.mtimes += other.mtimes[start:end]
        self.inodes += other.inodes[start:end]
        self.ctimes += other.ctimes[start:end]
        self.executables += other.executables[start:end]

    def replace(self, start: int, end: int, other: "FileStates") -> None:
        """Have all files of another take the place of those from `start` to before `end`."""
        self.sizes[start:end] = other.sizes
        self.mtimes[start:end] = other.mtimes
        self.inodes[start:end] = other.inodes
        self.ctimes[start:end] = other.ctimes
        self.executables[start:end] = other.executables

    def without(self, file: int) -> "FileStates":
        """Return the same of all files but one."""
        others = self.copy()
        others.replace(file, file + 1, FileStates())
        return others

    def are_executable(self) -> bytes:
        """Return a byte for each file: 1 if it may be run, else 0."""
        return bytes(self.executables)

    def put(self, file: int, status: os.stat_result) -> bool:
        """Take in how a file is now; say whether it may be run."""
        one = FileStates()
        is_executable = one.add(status)
        self.replace(file, file + 1, one)
        return is_executable

    def is_same(self, file: int, other: "FileStates", its_file: int) -> bool:
        """Say whether a file is as one of another was: its bytes are taken to be the same."""
        is_unchanged = self.ctimes[file] == other.ctimes[its_file]
        return is_unchanged and self.is_moved(file, other, its_file)

    def is_moved(self, file: int, other: "FileStates", its_file: int) -> bool:
        """Say the same of a file that has another path now: a move changes its ctime."""
        return (
            self.inodes[file] == other.inodes[its_file] != 0
            and self.mtimes[file] == other.mtimes[its_file]
            and self.sizes[file] == other.sizes[its_file]
        )

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
        """Return a function that says whether a file with some status is unchanged."""
        return self._signature(file, self.ctimes[file]).fits

    def fits_but_for_ctime(self, file: int) -> Fits:
        """Return the same for a file whose bytes will be verified."""
        return self._signature(file, 0).fits

    def _signature(self, file: int, ctime_ns: int) -> Signature:
        mode = manifest.EXECUTABLE_MODE if self.executables[file] else manifest.PLAIN_MODE
        return Signature(self.sizes[file], self.mtimes[file], self.inodes[file], mode, ctime_ns)

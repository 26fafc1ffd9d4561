"""Files of a tree that appear in their directory one by one, each whole, while others come."""

import array
import contextlib
import filecmp
import os
import shutil
import stat
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from node.others import others
from node.paths import parent_of
from protocol.errors import OperatorError
from protocol.names import display

# What becomes of what lies there already and is not what should: it goes, or stays where it is not
# replaced, or it hinders: then nothing of it is lost.
Others = Literal["go", "stay", "hinder"]


class Appearing:
    """Which files of a tree are whole, and so stand where they belong: they are *out*."""

    def __init__(self, folder: Path, name: str, others: Others = "go") -> None:
        """Let them appear in the directory `name` of `folder`."""
        self._folder = folder
        self._name = name
        self._others = others
        self._root = os.fsencode(folder / name) + b"/"
        self._is_out = bytearray()
        self._left = array.array("Q")  # Bytes of each file that are not there yet.
        self._guard = threading.Lock()

    def begin(self, files: Iterable[tuple[int, bytes]], sizes: Sequence[int]) -> None:
        """See which of the `files`, numbers and paths, stand there with the size they should have.

        They may have other bytes: `take_back` those.

        Raises:
            OperatorError: another one hinders.
        """
        self._is_out = bytearray(len(sizes))
        self._left = array.array("Q", sizes)
        for file, path in files:
            with contextlib.suppress(OSError):
                status = os.lstat(self._root + path)
                is_right = stat.S_ISREG(status.st_mode) and status.st_size == sizes[file]
                self._is_out[file] = is_right
                if not is_right:
                    self._hinder(path)

    def is_out(self, file: int) -> bool:
        return bool(self._is_out[file])

    def place(self, path: bytes) -> bytes:
        """Return where a file stands that is out."""
        return self._root + path

    def take_back(self, files: Iterable[int]) -> set[int]:
        """Note that these are not right; return those that seemed to be."""
        wrong = {file for file in files if self._is_out[file]}
        for file in wrong:
            self._is_out[file] = 0
        return wrong

    def came(self, file: int, size_bytes: int) -> bool:
        """Note that so many bytes of a file are there; say whether it is whole now."""
        with self._guard:
            self._left[file] -= size_bytes
            return self._left[file] == 0

    def put_out(self, file: int | None, path: bytes, made: bytes) -> None:
        """Move a file that is whole, or a link, from `made` to where it belongs.

        Raises:
            OperatorError: something stands in the way.
            OSError: the disk refused.
        """
        if self._others == "hinder" and _is_another(self._root + path, made):
            self._hinder(path)
        if file is not None:
            _sync(made)
        with parent_of(self._folder, f"{self._name}/{path.decode()}") as (directory, last):
            if _is_directory(last, directory):
                shutil.rmtree(last, dir_fd=directory)
            os.rename(made, last, dst_dir_fd=directory)
        if file is not None:
            self._is_out[file] = 1

    def end(self, folders: Iterable[bytes], known: set[bytes] | None) -> None:
        """Make the empty directories; of what else is there, leave what is `known` (None: all).

        Raises:
            OperatorError: something else is there, and hinders.
            OSError: the disk refused.
        """
        if known is not None and self._others == "hinder":
            for path in others(self._root, known):
                self._hinder(path)
        if known is not None and self._others == "go":
            _remove_others(self._root, known)
        for path in folders:
            os.makedirs(self._root + path, exist_ok=True)

    def _hinder(self, path: bytes) -> None:
        """Raise OperatorError if what is there must not be lost."""
        if self._others == "hinder":
            place = display(f"{self._name}/{path.decode(errors='replace')}")
            message = f"another {place} lies in {self._folder}, which perhaps nobody else has"
            raise OperatorError(f"{message}; move it away, or let --force replace it")


def _sync(path: bytes) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_another(there: bytes, made: bytes) -> bool:
    """Say whether something else than what was made stands there."""
    if not os.path.lexists(there):
        return False
    if os.path.islink(there) or os.path.islink(made):
        is_same = os.path.islink(there) and os.path.islink(made)
        return not is_same or os.readlink(there) != os.readlink(made)
    return not os.path.isfile(there) or not filecmp.cmp(there, made, shallow=False)


def _is_directory(last: str, directory: int) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(last, dir_fd=directory).st_mode)
    except FileNotFoundError:
        return False


def _remove_others(root: bytes, known: set[bytes]) -> None:
    for place, directories, files in os.walk(root, topdown=False):
        for name in files:
            path = os.path.join(place, name)
            if path[len(root) :] not in known:
                os.unlink(path)
        for name in directories:
            path = os.path.join(place, name)
            if os.path.islink(path):
                if path[len(root) :] not in known:
                    os.unlink(path)
            else:
                with contextlib.suppress(OSError):  # It is not empty.
                    os.rmdir(path)

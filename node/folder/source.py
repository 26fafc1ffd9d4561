"""The source of a thing's bytes: a file, or (folder.tree) a directory. Hashes nothing."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from shoal.node.files.signature import Fits, Signature, read_unchanged, read_unchanged_into
from shoal.protocol.size_cutting import file_cut


class Stretch(NamedTuple):
    """`size_bytes` of the file at `path` as long as its status fits, from `offset` on."""

    path: str
    fits: Fits
    offset: int
    size_bytes: int


class Source(Protocol):
    """Where a thing's bytes are, as they were at one moment."""

    @property
    def signature(self) -> Signature: ...
    @property
    def path(self) -> str:
        """Where it was found, which may be a link."""

    @property
    def listing_bytes(self) -> int: ...
    @property
    def size_bytes(self) -> int:
        """Return how many bytes can be read: the listing's, if it is a tree, and the files'."""

    def cut(self) -> list[int]:
        """Return the sizes of its chunks, by the rule for sizes; ValueError if it is too large."""

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return so many bytes from there on.

        Raises:
            GoneError: they have changed.
            OSError: they cannot be read.
        """

    def read_doubtful(self, offset: int, size_bytes: int) -> bytes:
        """Return the same, whatever the ctimes are: the bytes have to be verified."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from there on; raises as `read`."""

    def stretches(self, offset: int, size_bytes: int) -> Iterable[Stretch]:
        """Yield where so many bytes from there on are; those in no file have an empty path."""


class FileSource:
    """One file. There may be a million of them."""

    __slots__ = ("_path", "signature")
    listing_bytes = 0

    def __init__(self, path: Path, signature: Signature) -> None:
        self.signature = signature
        self._path = str(path)

    @property
    def path(self) -> str:
        return self._path

    @property
    def size_bytes(self) -> int:
        return self.signature.size_bytes

    def cut(self) -> list[int]:
        return file_cut(self.size_bytes)

    def read(self, offset: int, size_bytes: int) -> bytes:
        return read_unchanged(self._path, self.signature.fits, offset, size_bytes)

    def read_doubtful(self, offset: int, size_bytes: int) -> bytes:
        fits = msgspec.structs.replace(self.signature, ctime_ns=0).fits
        return read_unchanged(self._path, fits, offset, size_bytes)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        read_unchanged_into(self._path, self.signature.fits, offset, buffer)

    def stretches(self, offset: int, size_bytes: int) -> Iterable[Stretch]:
        return [Stretch(self._path, self.signature.fits, offset, size_bytes)]

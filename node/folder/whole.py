"""A hashed thing in a node's folder. Knows neither the folder nor other things."""

import errno

from blake3 import blake3
from shoal.node.files.signature import GoneError, Signature
from shoal.node.files.unreadable import SHORT
from shoal.node.folder.source import Source
from shoal.protocol import bitmap
from shoal.protocol.manifest import decode, id_of
from shoal.protocol.titles import Title


class Whole:
    """A thing in the folder, hashed. There may be a million of them."""

    __slots__ = ("data", "id", "manifest", "name", "source", "title")

    def __init__(self, name: str, data: bytes, source: Source, title: Title | None = None) -> None:
        """`data` is the canonical manifest of `source`; `title` names its version, if known."""
        self.name = name
        self.id = id_of(data)
        self.title = title or Title(self.id)
        self.data = data
        self.source = source
        self.manifest = decode(data)

    @property
    def signature(self) -> Signature:
        return self.source.signature

    @property
    def size_bytes(self) -> int:
        return self.manifest.size_bytes

    @property
    def chunk_count(self) -> int:
        return self.manifest.chunk_count

    def chunk_size(self, index: int) -> int:
        return self.manifest.chunk_size(index)

    @property
    def have(self) -> int:
        return bitmap.full(self.manifest.chunk_count)

    def read(self, index: int) -> bytes:
        """Return the bytes of chunk `index`.

        If only ctimes have changed, as by `chmod`, they are verified.

        Raises:
            GoneError: they are no longer there, or have failed to be read twice.
            OSError: nothing can be read now: there are too many files open, or there is no memory.
        """
        thing = self.manifest
        where = thing.chunk_offset(index), thing.chunk_size(index)
        for may_fail in (True, False):  # A disk or a file server may fail for once.
            try:
                return self.source.read(*where)
            except GoneError:
                return self._read_verified(index)
            except OSError as error:
                if error.errno in SHORT:
                    raise
                if not may_fail or error.errno == errno.ENOENT:
                    raise GoneError(f"{self.name}: {error.strerror}") from None
        raise AssertionError

    def _read_verified(self, index: int) -> bytes:
        """Return the bytes of a chunk if they are right, in a thing that is to be hashed again."""
        where = self.manifest.chunk_offset(index), self.manifest.chunk_size(index)
        try:
            data = self.source.read_doubtful(*where) if self.signature.ctime_ns else b""
        except OSError as error:
            raise GoneError(f"{self.name}: {error.strerror}") from None
        if not self.signature.ctime_ns or blake3(data).digest() != self.manifest.digest(index):
            raise GoneError(f"{self.name} has changed")
        return data

"""A thing of which only a part is here, as others can ask for it: it is fetched, or damaged."""

import os

from blake3 import blake3
from shoal.node.files.signature import GoneError
from shoal.node.folder.whole import Whole
from shoal.node.staging.staged_file import StagedFile
from shoal.node.staging.staged_tree import StagedTree
from shoal.protocol.manifest import encode
from shoal.protocol.titles import Title


class PartialFile:
    """A part of a thing. Only its download, or who checks it, adds to it."""

    def __init__(
        self,
        name: str,
        staged: StagedFile | StagedTree | Whole,
    ) -> None:
        """`staged` is a whole thing if that is damaged."""
        self.title = Title(staged.id)
        self.name = name
        self.id = staged.id
        self.data = encode(staged.manifest)
        self._have = 0
        self._corrupt = 0
        self._manifest = staged.manifest
        self._staged = staged

    @property
    def have(self) -> int:
        """The chunks that are here and are served (protocol.bitmap)."""
        return self._have & ~self._corrupt

    @have.setter
    def have(self, chunks: int) -> None:
        self._have = chunks

    @property
    def corrupt(self) -> int:
        """Chunks that were found to be wrong on the disk since they were written."""
        return self._corrupt

    def accept(self, have: int) -> None:
        """Serve these chunks, which are right now, and forget which were not."""
        self._have, self._corrupt = have, 0

    def is_right(self, index: int) -> bool:
        """Hash a chunk again that is served; return False, and serve it no more, if it is wrong."""
        if not self.have >> index & 1:
            return True
        if blake3(self.read(index)).digest() == self._manifest.digest(index):
            return True
        self._corrupt |= 1 << index
        return False

    @property
    def size_bytes(self) -> int:
        return self._manifest.size_bytes

    @property
    def chunk_count(self) -> int:
        return self._manifest.chunk_count

    def chunk_size(self, index: int) -> int:
        return self._manifest.chunk_size(index)

    @property
    def have_bytes(self) -> int:
        """About how much of it is here: the chunks of a thing are about equally large."""
        return self.size_bytes * self.have.bit_count() // max(1, self.chunk_count)

    def place(self, index: int) -> list[tuple[bytes, int, int]]:
        """Return where the bytes of chunk `index` are: paths of files, offsets, and how many.

        They may be elsewhere a moment later, but the same file has them.
        """
        if isinstance(self._staged, Whole):
            where = self._manifest.chunk_offset(index), self._manifest.chunk_size(index)
            return [
                (os.fsencode(one.path), one.offset, one.size_bytes)
                for one in self._staged.source.stretches(*where)
            ]
        return self._staged.place(index)

    def read(self, index: int) -> bytes:
        """Return the bytes of chunk `index`, which must be in `have`."""
        try:
            return self._staged.read(index)
        except OSError as error:
            raise GoneError(f"{self.name}: {error.strerror}") from None

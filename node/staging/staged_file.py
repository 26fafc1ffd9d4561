"""The bytes of a file while it is fetched: `.shoal/partial/ID/`. Trusts nothing it finds there.

There is no journal. What an earlier try has left is found by hashing it: the file system knows
which extents were written (SEEK_DATA), the manifest what belongs there. So a kill, a power cut or a
hostile edit costs at most the chunks that it spoiled.
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.node.files.durable import sync_file
from shoal.node.files.holes import give_back, stretches, write_hole
from shoal.node.files.outside import put_outside
from shoal.node.files.placing import MayGo, nothing, put_in_place, remove
from shoal.node.files.raw_files import claim_room, open_own, usual_mode, write_at
from shoal.node.files.signature import Signature
from shoal.node.folder.hashing import verified_chunks
from shoal.node.folder.source import FileSource, Source
from shoal.node.scheduling.wanted import all_zeros
from shoal.node.staging.reflink import Origin, Reflinks
from shoal.node.staging.room import free_bytes, require_room
from shoal.protocol import bitmap
from shoal.protocol.listing import checked
from shoal.protocol.manifest import ContentId, Manifest, encode

ALLOCATION_BYTES = (
    64 << 20
)  # At a time, during the transfer: 2 GiB at once stop a RAM disk for 0.2 s.
PLENTY = 2  # Room is reserved if the disk has this many times as much: others need some too, and a
# manifest may claim bytes that will never come.


class StagedFile:
    """Room for one file's bytes, filled in any order, then put in place under a name."""

    def __init__(
        self,
        folder: Path,
        content_id: ContentId,
        manifest: Manifest,
        check: Callable[[], None] = lambda: None,
        *,
        reserves: bool = True,
    ) -> None:
        """Only assigns; `open` makes the room in `folder`/`content_id`.

        `check` is called again and again in what takes long; it raises an error to stop it.
        Perhaps not all of it comes: then it `reserves` none of the room that it has found.
        """
        self._check = check
        self._reserves = reserves
        self.id = content_id
        self.manifest = manifest
        self.needed = bitmap.full(manifest.chunk_count)
        self._place = folder / content_id.removeprefix("b3:")
        self._descriptor = -1
        self._reflinks = Reflinks()
        self._guard = threading.Lock()
        self._allocation: threading.Thread | None = None
        self._is_closing = False
        self._is_published = False
        self._trouble: OSError | None = None

    def open(self) -> int:
        """Make room, and return the chunks that are there and right (protocol.bitmap).

        Chunks of zeros always are: they are holes.

        Raises:
            OSError: the disk refused, or is too full (ENOSPC).
        """
        claim_room(self._place)
        remove(self._place / "manifest")
        write_at(os.fsencode(self._place / "manifest"), 0, memoryview(encode(self.manifest)))
        self._descriptor = open_own(os.fsencode(self._place / "data"), os.O_RDWR)
        found, zeros = self._verify(), all_zeros(self.manifest)
        allocated_bytes = os.fstat(self._descriptor).st_blocks * 512
        require_room(self._place, self._bytes_of(self.needed & ~zeros) - allocated_bytes)
        os.ftruncate(self._descriptor, self.manifest.size_bytes)
        self._make_holes(zeros & ~found)
        missing = self.needed & ~found & ~zeros
        plenty_bytes = PLENTY * self._bytes_of(missing)
        may_allocate = self._reserves and self._is_on_a_disk()
        if may_allocate and free_bytes(self._place) >= plenty_bytes > 0:
            self._allocation = threading.Thread(
                target=self._allocate, args=(missing,), name="allocate", daemon=True
            )
            self._allocation.start()
        return found | zeros

    def write(self, index: int, data: bytes | memoryview, origin: Origin | None = None) -> None:
        """Write a chunk's bytes, which the caller has verified; `origin` is where they are already.

        Raises:
            OSError: the disk refused.
        """
        if self._trouble is not None:
            raise self._trouble
        offset = self.manifest.chunk_offset(index)
        self._reflinks.writer(origin)(self._descriptor, offset, memoryview(data))

    def read(self, index: int) -> bytes:
        """Return the bytes in the place of chunk `index`. May be used from any thread.

        Raises:
            OSError: the disk refused, or the file is closed.
        """
        with self._guard:  # A closed descriptor may be another file's already.
            return self._read(index)

    def place(self, index: int) -> list[tuple[bytes, int, int]]:
        """Return where the bytes of chunk `index` are: a path, the offset, and how many."""
        thing, path = self.manifest, os.fsencode(self._place / "data")
        return [(path, thing.chunk_offset(index), thing.chunk_size(index))]

    def publish(self, folder: Path, name: str, may_go: MayGo = nothing) -> Source:
        """Make the bytes durable and put them in `folder` under their name, in one step.

        Anything there is replaced if it may go. Returns where the bytes are now.

        Raises:
            InTheWayError: something is there that may not go.
            OperatorError: it is neither a file nor a directory.
            OSError: the disk refused.
        """
        self._settle()
        signature = Signature.of(os.fstat(self._descriptor))  # While nobody else can change it.
        put_in_place(self._place / "data", folder, name, may_go)
        self._is_published = True
        remove(self._place)
        return FileSource(folder / name, signature)

    def publish_at(
        self,
        target: Path,
        _: str = "",
        *,
        may_replace: bool = False,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the bytes durable and put them at `target`, on whatever file system that is.

        `begin` is called in between.

        Raises:
            OperatorError: something is there that must not be replaced.
            OSError: the disk refused.
        """
        self._settle()
        begin()
        put_outside(self._place / "data", target, may_replace=may_replace)
        self._is_published = True
        remove(self._place)

    def close(self) -> None:
        """Close the file; its data stays for the next try, and reserves no room."""
        self._is_closing = True
        self._end_allocation()
        with self._guard:
            if self._descriptor >= 0:
                if self._allocation is not None and not self._is_published:
                    give_back(self._descriptor, self.manifest.size_bytes)
                os.close(self._descriptor)
                self._descriptor = -1

    def _read(self, index: int) -> bytes:
        size_bytes = self.manifest.chunk_size(index)
        return os.pread(self._descriptor, size_bytes, self.manifest.chunk_offset(index))

    def _settle(self) -> None:
        self._end_allocation()
        if self._trouble is not None:
            raise self._trouble
        os.fchmod(self._descriptor, usual_mode(self.manifest.mode & 0o777))
        sync_file(self._descriptor)

    def _verify(self) -> int:
        size_bytes = min(os.fstat(self._descriptor).st_size, self.manifest.size_bytes)
        candidates = bitmap.of(())
        for start, end in stretches(self._descriptor, 0, size_bytes):
            candidates |= self._chunks_between(start, end)

        def read(index: int) -> bytes:
            self._check()
            return self._read(index)

        return verified_chunks(read, self.manifest, list(bitmap.indices(candidates)))

    def _chunks_between(self, start: int, end: int) -> int:
        first, last = self.manifest.chunk_at(start), self.manifest.chunk_at(end - 1)
        return bitmap.full(last + 1) & ~bitmap.full(first)

    def _make_holes(self, chunks: int) -> None:
        for index in checked(bitmap.indices(chunks), self._check):
            zeros = memoryview(bytes(self.manifest.chunk_size(index)))
            write_hole(self._descriptor, self.manifest.chunk_offset(index), zeros)

    def _bytes_of(self, chunks: int) -> int:
        return sum(map(self.manifest.chunk_size, bitmap.indices(chunks)))

    def _is_on_a_disk(self) -> bool:
        """Return whether extents matter: a RAM disk has none, and pays for each page twice."""
        return os.major(os.fstat(self._descriptor).st_dev) != 0

    def _end_allocation(self) -> None:
        if self._allocation is not None:
            self._allocation.join()

    def _allocate(self, chunks: int) -> None:
        for offset, size_bytes in self._runs(chunks):
            if self._is_closing:
                return
            try:
                os.posix_fallocate(self._descriptor, offset, size_bytes)
            except OSError as error:
                if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
                    self._trouble = error
                return  # Others cannot allocate ahead (EOPNOTSUPP); writing will tell.

    def _runs(self, chunks: int) -> Iterator[tuple[int, int]]:
        """Yield offsets and sizes of runs of chunks, none of them too long."""
        start = end = 0
        for index in bitmap.indices(chunks):
            offset = self.manifest.chunk_offset(index)
            if offset != end or end - start >= ALLOCATION_BYTES:
                if end > start:
                    yield start, end - start
                start = offset
            end = offset + self.manifest.chunk_size(index)
        if end > start:
            yield start, end - start

"""The bytes of a tree while it is fetched: `.shoal/partial/ID/`. Trusts nothing it finds there.

First its listing is fetched, into a file of its own; then the files of the tree, each where it
belongs in `tree/`. Parts of chunks that belong to files nobody asked for go into `rest`, a file
with holes, so that a chunk is always whole: it can be verified and passed on.
"""

import errno
import os
from pathlib import Path

from node.appearing import Appearing
from node.hashing import verified_chunks
from node.placing import put_in_place, put_outside, remove, sync
from node.raw_files import link, read_at, set_mode, write_at
from node.reflink import Origin, Reflinks
from node.selection import EVERYTHING, Selection
from node.staging import require_room
from node.tree import Tree, everything_in
from node.tree_place import TreePlace
from node.tree_plan import TreePlan
from protocol import bitmap
from protocol.errors import MalformedMessageError
from protocol.listing import decode
from protocol.manifest import ContentId, Manifest, encode


class TreeStaging:
    """Room for a tree's bytes, filled in any order, then given its name."""

    _plan: TreePlan

    def __init__(
        self,
        folder: Path,
        content_id: ContentId,
        manifest: Manifest,
        selection: Selection = EVERYTHING,
        appearing: Appearing | None = None,
    ) -> None:
        """Only assigns; `open` makes the room in `folder`/`content_id`.

        `appearing` takes each file as soon as it is whole; without it all appear at the end.
        """
        self.id = content_id
        self.manifest = manifest
        self.needed = bitmap.full(manifest.listing_chunks)
        self._selection = selection
        self._appearing = appearing
        self._place = TreePlace(folder / content_id.removeprefix("b3:"))
        self._reflinks = Reflinks()
        self._is_laid_out = False
        self._is_new = False  # All that lies there was written by us, just now.
        self._is_made = bytearray()
        self._is_closed = False

    def open(self) -> int:
        """Make room, and return the chunks of the listing that are there (protocol.bitmap).

        Raises:
            OSError: the disk refused.
        """
        self._place.open(encode(self.manifest))
        return self._right_ones(self.needed)

    def lay_out(self) -> int:
        """Read the listing, which is whole, and make room for its files; return what is there.

        From now on `needed` has the chunks of all files that were selected.

        Raises:
            MalformedMessageError: the listing is none, or not that of so many bytes.
            OSError: the disk refused, or is too full (ENOSPC).
        """
        listing = decode(self._read_listing())
        if listing.size_bytes != self.manifest.size_bytes:
            raise MalformedMessageError("the listing is not that of so many bytes")
        self._plan = TreePlan(self.manifest, listing, self._selection)
        self._is_laid_out = True
        self._is_made = bytearray(len(listing.sizes))
        self.needed = self._plan.needed
        self._is_new = self._place.lay_out(self._plan)
        have = bitmap.full(self.manifest.listing_chunks)
        if self._appearing is not None:
            files = self._plan.chosen_files()
            self._appearing.begin(files, listing.sizes, self._plan.mode)
            have = self._let_appear(self._right_ones(self.needed))
        elif not self._is_new:
            have = self._right_ones(self.needed)
        require_room(self._place.path, self._plan.bytes_of(self.needed & ~have))
        return have

    def write(self, index: int, data: bytes | memoryview, origin: Origin | None = None) -> None:
        """Write a chunk's bytes, which the caller has verified. May be used from any thread.

        `origin` is where they lie already.

        Raises:
            OperatorError: something stands where a file is to appear.
            OSError: the disk refused.
        """
        rest = memoryview(data)
        if not self._is_laid_out:
            write_at(self._place.listing, self.manifest.chunk_offset(index), rest)
            return
        for file, offset, size_bytes in self._plan.pieces(index):
            self._write_part(file, offset, rest[:size_bytes], origin)
            rest, origin = rest[size_bytes:], origin and origin.after(size_bytes)

    def read(self, index: int) -> bytes:
        """Return the bytes that stand where chunk `index` belongs. May be used from any thread.

        Raises:
            OSError: the disk refused, or they are not there.
        """
        if self._is_closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if index < self.manifest.listing_chunks:
            start, size_bytes = self.manifest.chunk_offset(index), self.manifest.chunk_size(index)
            return read_at(self._place.listing, start, size_bytes)
        return b"".join(self._read_part(*part) for part in self._plan.pieces(index))

    def publish(self, folder: Path, name: str) -> Tree:
        """Make the bytes durable and give them their name in `folder`, in one step.

        What stood under the name is replaced. Returns where the bytes are now.

        Raises:
            OperatorError: something that must not be replaced stands in the way.
            OSError: the disk refused.
        """
        self._complete()
        target = folder / name
        if self._appearing is not None:
            is_all = self._plan.is_everything
            tree = self._appearing.tree(self._read_listing()) if is_all else everything_in(target)
            remove(self._place.path)
            return tree
        if self._plan.is_everything:  # While nobody else can change it.
            tree = Tree.made(self._place.tree, self._read_listing())
        else:
            tree = everything_in(self._place.tree)
        put_in_place(self._place.tree, folder, name)
        remove(self._place.path)
        tree.root = target
        return tree

    def publish_at(self, target: Path, inside: str = "") -> None:
        """Make the bytes durable and put them at `target`, on whatever file system that is.

        If a path `inside` the tree is named, only what has it is put there.

        Raises:
            OperatorError: something stands there.
            OSError: the disk refused.
        """
        self._complete()
        put_outside(self._place.tree / inside, target)
        remove(self._place.path)

    @property
    def has_any(self) -> bool:
        """Say whether anything was selected, once it is laid out."""
        return self._plan.has_any

    def close(self) -> None:
        """Read no more; what is there stays for the next try."""
        self._is_closed = True

    def _read_listing(self) -> bytes:
        return self._place.read_listing(self.manifest.listing_bytes)

    def _right_ones(self, candidates: int) -> int:
        def read(index: int) -> bytes:
            try:
                return self.read(index)
            except OSError:
                return b""

        return verified_chunks(read, self.manifest, list(bitmap.indices(candidates)))

    def _let_appear(self, have: int) -> int:
        """Count what is there; return what counts of `have` when files that are not right do not.

        A file that stands where it belongs with wrong bytes stays until the right one replaces it.
        """
        assert self._appearing is not None
        wrong = self._appearing.take_back(self._plan.files_in(self.needed & ~have))
        doubtful = self._plan.chunks_of(wrong) & self.needed
        have = have & ~doubtful | self._right_ones(doubtful)
        for index in bitmap.indices(have):
            for file, _, size_bytes in self._plan.pieces(index):
                self._note_come(file, size_bytes)
        return have

    def _place_of(self, file: int, offset: int) -> tuple[bytes, int]:
        """Return which file here that is, and where in it."""
        if file < 0:
            return self._place.listing, offset
        if not self._plan.is_chosen(file):
            return self._place.rest, self._plan.start(file) + offset
        path = self._plan.listing.file_path(file)
        if self._appearing is not None and self._appearing.is_out(file):
            return self._appearing.place(path), offset
        return self._place.file(path), offset

    def _read_part(self, file: int, offset: int, size_bytes: int) -> bytes:
        try:
            return read_at(*self._place_of(file, offset), size_bytes)
        except FileNotFoundError:  # It may just have been let out.
            return read_at(*self._place_of(file, offset), size_bytes)

    def _write_part(self, file: int, offset: int, data: memoryview, origin: Origin | None) -> None:
        if file < 0 or not self._plan.is_chosen(file):
            write_at(*self._place_of(file, offset), data)
        elif self._appearing is None or not self._appearing.is_out(file):
            mode = None if self._is_made[file] else self._plan.mode(file)
            write = self._reflinks.writer(origin)
            write_at(*self._place_of(file, offset), data, mode, is_new=self._is_new, write=write)
            self._is_made[file] = 1
            self._note_come(file, len(data))

    def _note_come(self, file: int, size_bytes: int) -> None:
        if self._appearing is None or file < 0 or not self._plan.is_chosen(file):
            return
        if not self._appearing.is_out(file) and self._appearing.came(file, size_bytes):
            self._let_out(file, self._plan.listing.file_path(file))

    def _complete(self) -> None:
        """Make what has no bytes, and everything durable."""
        for file, path in self._plan.chosen_files():
            if self._plan.listing.sizes[file] == 0:
                write_at(self._place.file(path), 0, memoryview(b""), self._plan.mode(file))
                self._let_out(file, path)
            elif self._appearing is None and not self._is_made[file]:  # But by an earlier try.
                set_mode(self._place.file(path), self._plan.mode(file), durably=False)
        for path in self._plan.chosen_folders():
            self._place.make_directory(path)
        for path, target in self._plan.chosen_links():  # The last: nothing is made through a link.
            self._place.make_directory(path.rpartition(b"/")[0])
            link(self._place.file(path), target)
            self._let_out(None, path)
        if self._appearing is not None:
            listing = self._plan.listing if self._plan.is_everything else None
            self._appearing.end(self._plan.chosen_folders(), listing)
        sync(self._place.path)

    def _let_out(self, file: int | None, path: bytes) -> None:
        if self._appearing is not None:
            self._appearing.put_out(file, path, self._place.file(path))

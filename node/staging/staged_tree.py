"""The bytes of a tree while it is fetched: `.shoal/partial/ID/`. Trusts nothing it finds there.

First its listing is fetched, into a file of its own; then the files, each in its place in `tree/`
(staging.tree_files).
"""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from shoal.node.files.outside import put_outside
from shoal.node.files.placing import MayGo, nothing, put_in_place, remove
from shoal.node.files.raw_files import read_at, usual_mode, write_at
from shoal.node.folder.hashing import verified_chunks
from shoal.node.folder.tree import Tree, everything_in
from shoal.node.scheduling.wanted import all_zeros
from shoal.node.staging.reflink import Origin
from shoal.node.staging.room import require_room
from shoal.node.staging.tree_files import TreeFiles, TreePlace
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.trees.part import Lack
from shoal.node.trees.plan import TreePlan
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import bitmap
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.listing import checked, decode
from shoal.protocol.manifest import ContentId, Manifest, encode


class StagedTree:
    """Room for a tree's bytes, filled in any order, then put in place under a name."""

    _plan: TreePlan

    def __init__(
        self,
        folder: Path,
        content_id: ContentId,
        manifest: Manifest,
        selection: Selection = EVERYTHING,
        in_place: TreeInPlace | None = None,
        *,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Only assigns; `open` makes the room in `folder`/`content_id`.

        `in_place` takes each file as soon as it is whole; without it all appear at the end. `check`
        is called again and again in what takes long; it raises an error to stop it.
        """
        self.id = content_id
        self.manifest = manifest
        self.needed = bitmap.full(manifest.listing_chunks)
        self._selection = selection
        self._in_place = in_place
        self._place = TreePlace(folder / content_id.removeprefix("b3:"))
        self._files: TreeFiles | None = None  # Until it is laid out.
        self._check = check
        self._is_closed = False
        self._guard = threading.Lock()  # Held while the tree is moved.

    def open(self) -> int:
        """Make room, and return the chunks of the listing that are there (protocol.bitmap).

        Raises:
            OSError: the disk refused.
        """
        self._place.open(encode(self.manifest))
        return self._right_ones(self.needed)

    def lay_out(self) -> int:
        """Read the listing, which is complete, and make room for its files; return what is there.

        From now on `needed` has the chunks of all selected files. May be called again.

        Raises:
            MalformedMessageError: the listing is invalid, or not that of so many bytes.
            DiskError: two of its paths could be one file here.
            OSError: the disk refused, or is too full (ENOSPC).
        """
        listing = decode(self._read_listing(), self._check)
        if listing.size_bytes != self.manifest.size_bytes:
            raise MalformedMessageError("the listing is not that of so many bytes")
        most_mode = usual_mode(0o777)
        self._plan = TreePlan(self.manifest, listing, self._selection, most_mode, self._check)
        self.needed = self._plan.needed
        is_new = self._place.lay_out(self._plan, self._check)
        self._files = TreeFiles(self._place, self._plan, self._in_place, is_new=is_new)
        have = bitmap.full(self.manifest.listing_chunks)
        if self._in_place is not None:
            files = checked(self._plan.chosen_files(), self._check)
            self._in_place.begin(files, listing, self._plan.mode, self._place.aside)
            have = self._let_appear(self._right_ones(self.needed))
        elif not is_new:
            have = self._right_ones(self.needed)
        zeros = all_zeros(self.manifest) & self.needed & ~have
        require_room(self._place.path, self._plan.bytes_of(self.needed & ~have & ~zeros))
        for index in checked(bitmap.indices(zeros), self._check):
            data = memoryview(bytes(self.manifest.chunk_size(index)))
            self._files.write(index, data, is_zeros=True)
        return have | zeros

    def write(self, index: int, data: bytes | memoryview, origin: Origin | None = None) -> None:
        """Write a chunk's bytes, which the caller has verified. May be used from any thread.

        `origin` is where they are already.

        Raises:
            OperatorError: something is in the way of a file that is to appear.
            OSError: the disk refused.
        """
        if self._files is None:
            write_at(self._place.listing, self.manifest.chunk_offset(index), memoryview(data))
        else:
            self._files.write(index, memoryview(data), origin)

    def read(self, index: int) -> bytes:
        """Return the bytes in the place of chunk `index`. May be used from any thread.

        Raises:
            OSError: the disk refused, or they are not there.
        """
        with self._guard:
            return self._read(index)

    def place(self, index: int) -> list[tuple[bytes, int, int]]:
        """Return where the bytes of chunk `index` are: paths of files, offsets, and how many."""
        return [] if self._files is None else self._files.place(index)

    def _read(self, index: int) -> bytes:
        if self._is_closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        if self._files is None or index < self.manifest.listing_chunks:
            start, size_bytes = self.manifest.chunk_offset(index), self.manifest.chunk_size(index)
            return read_at(self._place.listing, start, size_bytes)
        return self._files.read(index)

    def publish(self, folder: Path, name: str, may_go: MayGo = nothing) -> Tree:
        """Make the bytes durable and put them in `folder` under their name, in one step.

        Anything there is replaced if it may go. Returns where the bytes are now.

        Raises:
            InTheWayError: something is there that may not go.
            OperatorError: the same of one of the files that appear one by one, or it is neither a
                file nor a directory.
            OSError: the disk refused.
        """
        files = self._complete()
        target, is_all = folder / name, self._plan.is_everything
        known = self._read_listing(), self._plan.listing
        if self._in_place is not None:
            tree = self._in_place.tree(*known) if is_all else everything_in(target)
        else:  # While nobody else can change it.
            made = self._place.tree
            tree = Tree.made(made, *known, files.states) if is_all else everything_in(made)
            put_in_place(made, folder, name, may_go, self._moving(target))
            tree.moved(target)
        remove(self._place.path)
        return tree

    def publish_at(
        self,
        target: Path,
        inside: str = "",
        *,
        may_replace: bool = False,
        begin: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the bytes durable and put them at `target`, on whatever file system that is.

        `begin` is called in between.

        With a path `inside` the tree, only what is at that path is put there.

        Raises:
            OperatorError: something is there.
            OSError: the disk refused.
        """
        self._complete()
        begin()
        real = self._plan.inside.decode() or inside  # Links may lead there.
        with self._guard:
            self._is_closed = True  # Something else may be in its place from now on.
        put_outside(self._place.tree / real, target, may_replace=may_replace)
        remove(self._place.path)

    @property
    def turns(self) -> tuple[int, ...]:
        """Return where turns end, as chunks, if files appear one by one and so come in order."""
        return () if self._in_place is None or self._files is None else self._plan.turns()

    @property
    def has_any(self) -> bool:
        """Whether anything was selected; known once it is laid out."""
        return self._plan.has_any

    def lack(self, *, inside_alone: bool) -> Lack | None:
        """Return a selected link whose target does not come with it; known once it is laid out.

        With `inside_alone` what is inside a path is put elsewhere by itself.
        """
        part = self._plan.part
        if part is None:
            return None
        return part.lack or (part.leads_out_of(part.inside) if inside_alone else None)

    def close(self) -> None:
        """Stop reading; what is there stays for the next try."""
        self._is_closed = True
        self._place.close()

    @contextlib.contextmanager
    def _moving(self, target: Path) -> Iterator[None]:
        """Have nobody read meanwhile: what had the name takes the place of the tree."""
        with self._guard:
            yield
            self._place.moved(target)

    def _read_listing(self) -> bytes:
        return self._place.read_listing(self.manifest.listing_bytes)

    def _right_ones(self, candidates: int) -> int:
        def read(index: int) -> bytes:
            self._check()
            try:
                return self._read(index)
            except OSError:
                return b""

        return verified_chunks(read, self.manifest, list(bitmap.indices(candidates)))

    def _let_appear(self, have: int) -> int:
        """Count what is there; return the chunks of `have` that are not in a wrong file.

        A file in its place with wrong bytes stays there until the right one replaces it.
        """
        assert self._in_place is not None
        missing = checked(bitmap.indices(self.needed & ~have), self._check)
        wrong = self._in_place.take_back(self._plan.files_in(missing))
        doubtful = self._plan.chunks_of(wrong) & self.needed
        have = have & ~doubtful | self._right_ones(doubtful)
        assert self._files is not None
        self._files.count(checked(bitmap.indices(have), self._check))
        return have

    def _complete(self) -> TreeFiles:
        """Make everything that has no bytes, and make all of it durable."""
        assert self._files is not None
        self._files.complete(self._check)
        self._place.sync()
        return self._files

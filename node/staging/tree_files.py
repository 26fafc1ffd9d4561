"""The files of a tree while they come: where they are, and which parts of them a chunk is.

The parts of a chunk that belong to files nobody asked for go into a sparse file, the rest, so that
every chunk is stored whole. Each file is opened for each of its parts: there may be a million.
Whatever else gets into the staging place, nothing is written through it to some other place.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from shoal.node.files.directories import make, opened, sweep
from shoal.node.files.durable import FileSystem
from shoal.node.files.holes import write_hole
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import (
    Write,
    claim,
    claim_directory,
    claim_room,
    link,
    make_at,
    read_at,
    set_mode,
    write_all,
    write_at,
)
from shoal.node.files.states import FileStates
from shoal.node.staging.reflink import LEAST_BYTES, Origin, Reflinks
from shoal.node.staging.tree_in_place import TreeInPlace
from shoal.node.trees.namesakes import namesakes
from shoal.node.trees.plan import TreePlan
from shoal.protocol.errors import DiskError
from shoal.protocol.listing import checked
from shoal.protocol.names import quoted

T = TypeVar("T")

FEW_FILES = 4  # Each takes a disk's pause to become durable; a whole file system not much longer.


class TreePlace:
    """The manifest, the listing, the files that are wanted, and the rest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = path / "tree"
        self.listing = os.fsencode(path / "listing")
        self.rest = os.fsencode(path / "rest")
        self.aside = os.fsencode(path / "aside")  # For what is removed where files appear.
        self._manifest = os.fsencode(path / "manifest")
        self._root = os.fsencode(self.tree) + b"/"
        self._made = {b""}  # Directories below the root.
        self._disk: FileSystem | None = None

    def open(self, manifest: bytes) -> None:
        """Make room for the listing, and store the manifest.

        Raises:
            OSError: the disk refused.
        """
        claim_room(self.path)
        if self._disk is None:
            self._disk = FileSystem.of(self.path)  # Before the first write: it is to tell of all.
        for path in (self.listing, self.rest):
            claim(path)
        remove(self._manifest)
        write_at(self._manifest, 0, memoryview(manifest))

    def lay_out(self, plan: TreePlan, check: Callable[[], None] = lambda: None) -> bool:
        """Make the directories of the wanted files; return whether no file can be there yet.

        Anything else is removed: an earlier try may have wanted more, or somebody put it there.
        `check` is called again and again, and may raise an error.

        Raises:
            DiskError: two paths could be one file here.
            OSError: the disk refused.
        """
        if self._ignores_case():
            _require_apart(plan, check)
        self._made = {b""}
        is_new = claim_directory(self.tree)
        if not is_new:
            with opened(self.tree) as directory:
                sweep(directory, _is_wanted(plan, check), check)
        made = b""
        for _, path in checked(plan.chosen_files(), check):
            above = path.rpartition(b"/")[0]
            if above != made:  # Files of one directory are next to each other.
                self.make_directory(above, check)
                made = above
        return is_new

    def _ignores_case(self) -> bool:
        """Return whether this disk has one file under names that differ in case alone."""
        other = os.fsencode(self.path / "MANIFEST")
        try:
            return os.path.samestat(os.lstat(self._manifest), os.lstat(other))
        except FileNotFoundError:
            return False

    def file(self, path: bytes) -> bytes:
        """Return where the file at `path` in the tree is."""
        return self._root + path

    def make_directory(self, path: bytes, check: Callable[[], None] = lambda: None) -> None:
        """Make a directory of the tree, and those above it; `check` is called before each."""
        make(self._root, path, self._made, check)

    def sync(self) -> None:
        """Make everything durable; raises OSError, and then only the disk knows what is here."""
        assert self._disk is not None
        self._disk.sync(self.path)

    def close(self) -> None:
        if self._disk is not None:
            self._disk.close()
            self._disk = None

    def moved(self, path: Path) -> None:
        """Find the files at `path` from now on, where they are now."""
        self._root = os.fsencode(path) + b"/"

    def read_listing(self, size_bytes: int) -> bytes:
        return read_at(self.listing, 0, size_bytes)


def _require_apart(plan: TreePlan, check: Callable[[], None]) -> None:
    """Raise DiskError if of two paths one would take the place of the other, or hide in it."""
    files = (path for _, path in plan.chosen_files())
    links = (path for path, _ in plan.chosen_links())
    found = namesakes(checked(itertools.chain(files, plan.chosen_folders(), links), check))
    if found is not None:
        one, other = (quoted(path.decode()) for path in found)
        raise DiskError(
            f"{one} and {other} could be one file on this disk, which ignores the case of names;"
            " use a folder on another disk, or --exclude one of them"
        )


class TreeFiles:
    """The files of one tree that is laid out, filled in any order."""

    def __init__(
        self, place: TreePlace, plan: TreePlan, in_place: TreeInPlace | None, *, is_new: bool
    ) -> None:
        """`in_place` takes each file that is complete; if `is_new`, all that is there is ours."""
        listing = plan.listing
        self.states = FileStates(listing.sizes, listing.are_executable())
        self._place = place
        self._plan = plan
        self._in_place = in_place
        self._is_new = is_new
        self._reflinks = Reflinks()
        self._is_made = bytearray(len(listing.sizes))

    def write(
        self,
        index: int,
        data: memoryview,
        origin: Origin | None = None,
        *,
        is_zeros: bool = False,
    ) -> None:
        """Write the parts of chunk `index`, which may share blocks with `origin`, from any thread.

        With `is_zeros` they become holes: as long as nothing else writes.

        Raises:
            OperatorError: something is in the way of a file that is to appear.
            OSError: the disk refused.
        """
        in_place, is_chosen = self._in_place, self._plan.is_chosen
        start = 0
        whole: list[int] = []
        for file, offset, size_bytes in self._plan.pieces(index):
            part = data[start : start + size_bytes]
            start += size_bytes
            write = write_hole if is_zeros else self._reflinks.writer(origin)
            if file < 0 or not is_chosen(file):
                write_at(
                    *self._place_of(file, offset), part, write=write_hole if is_zeros else write_all
                )
            elif in_place is None or not in_place.is_out(file):
                self._write_part(file, offset, part, write)
                if in_place is not None and in_place.came(file, size_bytes):
                    whole.append(file)
            origin = origin and origin.after(size_bytes)
        self._let_out(whole)

    def read(self, index: int) -> bytes:
        """Return the bytes in the place of chunk `index`. May be used from any thread.

        Raises:
            OSError: the disk refused, or they are not there.
        """
        return b"".join(self._read_part(*part) for part in self._plan.pieces(index))

    def place(self, index: int) -> list[tuple[bytes, int, int]]:
        """Return where the bytes of chunk `index` are: paths of files, offsets, and how many."""
        return [
            (*self._place_of(file, offset), size_bytes)
            for file, offset, size_bytes in self._plan.pieces(index)
        ]

    def count(self, chunks: Iterable[int]) -> None:
        """Note that these are there; files that are complete by that appear."""
        in_place, whole = self._in_place, []
        if in_place is None:
            return
        for index in chunks:
            for file, _, size_bytes in self._plan.pieces(index):
                is_ours = file >= 0 and self._plan.is_chosen(file)
                if is_ours and not in_place.is_out(file) and in_place.came(file, size_bytes):
                    whole.append(file)
        self._let_out(whole)

    def complete(self, check: Callable[[], None] = lambda: None) -> None:
        """Make everything that has no bytes; set the modes of files from an earlier try.

        `check` is called before each, and may raise an error.

        Raises:
            OperatorError: something is in the way.
            OSError: the disk refused.
        """
        sizes, empty = self._plan.listing.sizes, []
        for file, path in self._plan.chosen_files():
            check()
            if sizes[file] == 0:
                write_at(self._place.file(path), 0, memoryview(b""), self._plan.mode(file))
                self._is_made[file] = 1
                empty.append(file)
            elif self._in_place is None and not self._is_made[file]:
                self._give_mode(file)
        self._let_out(empty, check)
        for path in self._plan.chosen_folders():
            check()
            self._place.make_directory(path)
        for path, target in self._plan.chosen_links():  # Last: nothing is made through a link.
            check()
            self._place.make_directory(path.rpartition(b"/")[0])
            link(self._place.file(path), target)
            if self._in_place is not None:
                self._in_place.put_out(None, path, self._place.file(path))
        if self._in_place is not None:
            listing = self._plan.listing if self._plan.is_everything else None
            self._in_place.end(checked(self._plan.chosen_folders(), check), listing, check)

    def _write_part(self, file: int, offset: int, data: memoryview, write: Write) -> None:
        states, plan = self.states, self._plan
        is_all = self._is_new and not self._is_made[file] and states.sizes[file] == len(data)
        if is_all and (write is write_all or len(data) < LEAST_BYTES):
            path = self._place.file(plan.listing.file_path(file))
            states.note(file, make_at(path, data, plan.mode(file)))
        else:
            states.forget(file)
            mode = None if self._is_made[file] else plan.mode(file)
            write_at(*self._place_of(file, offset), data, mode, write)
        self._is_made[file] = 1

    def _read_part(self, file: int, offset: int, size_bytes: int) -> bytes:
        moves = self._in_place.guard if self._in_place is not None else contextlib.nullcontext()
        with moves:
            return read_at(*self._place_of(file, offset), size_bytes)

    def _place_of(self, file: int, offset: int) -> tuple[bytes, int]:
        """Return the path of the file here that has it, and where in it."""
        if file < 0:
            return self._place.listing, offset
        if not self._plan.is_chosen(file):
            return self._place.rest, self._plan.start(file) + offset
        path = self._plan.listing.file_path(file)
        if self._in_place is not None and self._in_place.is_out(file):
            return self._in_place.place(path), offset
        return self._place.file(path), offset

    def _let_out(self, files: list[int], check: Callable[[], None] = lambda: None) -> None:
        """Let complete files appear. Each is durable before it has its name."""
        if self._in_place is None or not files:
            return
        is_ready = len(files) > FEW_FILES
        if is_ready:
            for file in checked(files, check):
                if not self._is_made[file]:
                    self._give_mode(file)
            self._place.sync()
        for file in files:
            check()
            path = self._plan.listing.file_path(file)
            self._in_place.put_out(file, path, self._place.file(path), is_ready=is_ready)

    def _give_mode(self, file: int) -> None:
        """Set the mode of a file from an earlier try."""
        path = self._place.file(self._plan.listing.file_path(file))
        set_mode(path, self._plan.mode(file), durably=False)


def _is_wanted(
    plan: TreePlan, check: Callable[[], None]
) -> Callable[[bytes, "os.DirEntry[str]"], bool]:
    """Return a function that says whether a file may be from an earlier try."""
    sizes = plan.listing.sizes
    files = {path: file for file, path in checked(plan.chosen_files(), check)}

    def is_wanted(path: bytes, entry: "os.DirEntry[str]") -> bool:
        if path not in files:
            return False
        status = entry.stat(follow_symlinks=False)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        return is_ours and status.st_size <= sizes[files[path]]

    return is_wanted

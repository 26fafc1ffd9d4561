"""A directory as one thing: its entries, as they were at one moment, and their bytes."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from blake3 import blake3
from shoal.node.files.signature import (
    Fits,
    GoneError,
    Signature,
    read_unchanged,
    read_unchanged_into,
)
from shoal.node.files.states import FileStates
from shoal.node.files.unreadable import PASSING, Unreadable, UnreadableError
from shoal.node.folder.source import Stretch
from shoal.node.folder.tree_walk import Walk
from shoal.node.trees.layout import Layout
from shoal.node.trees.left_out import LeftOut
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol import listing, manifest
from shoal.protocol.listing import Entry, Listing
from shoal.protocol.size_cutting import tree_cut


class Tree:
    """What `look_through` found. Its bytes are those of its listing, then those of its files."""

    def __init__(
        self,
        root: Path,
        listing_data: bytes,
        files: list[str],
        states: FileStates,
        left_out: LeftOut | None = None,
        *,
        follows_links: bool = False,
    ) -> None:
        """`files` are the paths of the files in the listing, in order, `states` how they were.

        In a tree that `follows_links`, a file or directory may be a link to one.
        """
        self.left_out = left_out or LeftOut()
        self.follows_links = follows_links
        self.moved(root)
        self.listing_data = listing_data
        self._files = files
        self.states = states
        self._layout = Layout([len(listing_data), *states.sizes])
        self.signature = Signature(
            sum(states.sizes),
            max(states.mtimes, default=0),
            _digest(listing_data, states.mtimes.tobytes(), states.inodes.tobytes()),
            manifest.TREE_MODE,
            _digest(states.ctimes.tobytes()) if any(states.ctimes) else 0,
            _device_of(root),
        )

    @classmethod
    def made(cls, root: Path, listing_data: bytes, found: Listing, states: FileStates) -> "Tree":
        """Return the tree that was just made at `root`, and whose entries are known.

        Args:
            root: its directory.
            listing_data: its listing …
            found: … and what that says.
            states: those that its files had when their bytes were right, as far as they were noted;
                the others' are as they are now.

        Raises:
            OSError: a file has gone meanwhile.
        """
        files = [found.file_path(file).decode() for file in range(len(found.sizes))]
        for file, path in enumerate(files):
            if not states.is_noted(file):
                states.note(file, os.lstat(f"{root}/{path}"))
        return cls(root, listing_data, files, states)

    def without(self, inside: str, reason: str) -> "Tree":
        """Return it without one file, which is left out for that reason."""
        entries = [entry for entry in self.entries() if entry.path != inside]
        above = inside.rpartition("/")[0]
        if above and not any(entry.path.startswith(f"{above}/") for entry in entries):
            entries.append(Entry(above, listing.FOLDER))
        file = self._files.index(inside)
        files = self._files[:file] + self._files[file + 1 :]
        left_out = self.left_out.and_more(LeftOut())
        left_out.add(inside, reason)
        return Tree(
            self.root,
            listing.encode(entries),
            files,
            self.states.without(file),
            left_out,
            follows_links=self.follows_links,
        )

    def moved(self, root: Path) -> None:
        """Note that it is at `root` now."""
        self.root = root
        self._prefix = f"{root}/"  # Joined quicker than paths, for each file that is read.

    @property
    def path(self) -> str:
        return str(self.root)

    def entries(self) -> Iterator[Entry]:
        """Yield its entries, in order."""
        return listing.decode(self.listing_data).entries()

    def file_paths(self) -> list[str]:
        """Return the paths of its files."""
        return self._files

    @property
    def file_count(self) -> int:
        return len(self._files)

    @property
    def listing_bytes(self) -> int:
        return len(self.listing_data)

    @property
    def size_bytes(self) -> int:
        return self._layout.size_bytes

    def cut(self) -> list[int]:
        return tree_cut(len(self.listing_data), self.states.sizes)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return so many bytes from there on; raises as `Source` says."""
        parts = [self._part(*piece) for piece in self._layout.pieces(offset, size_bytes)]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_doubtful(self, offset: int, size_bytes: int) -> bytes:
        """Return the same, whatever the ctimes are."""
        pieces = self._layout.pieces(offset, size_bytes)
        return b"".join(self._part(*piece, is_doubtful=True) for piece in pieces)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from there on; raises as `Source` says."""
        for part, start, size_bytes in self._layout.pieces(offset, len(buffer)):
            if part == 0:
                buffer[:size_bytes] = self.listing_data[start : start + size_bytes]
            else:
                try:
                    read_unchanged_into(*self._file(part - 1), start, buffer[:size_bytes])
                except OSError as error:
                    raise self._blamed(part - 1, error) from None
            buffer = buffer[size_bytes:]

    def pieces(self, offset: int, size_bytes: int) -> list[tuple[int, int, int]]:
        """Return which parts of which files so many bytes are; the number of the listing is -1."""
        found = self._layout.pieces(offset, size_bytes)
        return [(part - 1, start, count) for part, start, count in found]

    def offset_of(self, file: int) -> int:
        """Return where the bytes of a file begin."""
        return self._layout.stretch(file + 1)[0]

    def stretches(self, offset: int, size_bytes: int) -> Iterable[Stretch]:
        """Yield where those bytes are; the listing is in no file."""
        for part, start, count in self._layout.pieces(offset, size_bytes):
            if part == 0:
                yield Stretch("", self.signature.fits, start, count)
            else:
                yield Stretch(*self._file(part - 1), start, count)

    def _part(self, part: int, offset: int, size_bytes: int, *, is_doubtful: bool = False) -> bytes:
        if part == 0:
            return self.listing_data[offset : offset + size_bytes]
        try:
            path, fits = self._file(part - 1)
            if is_doubtful:
                fits = self.states.fits_but_for_ctime(part - 1)
            return read_unchanged(path, fits, offset, size_bytes)
        except OSError as error:
            raise self._blamed(part - 1, error) from None

    def _blamed(self, file: int, error: OSError) -> OSError:
        if error.errno in PASSING:
            return error
        return UnreadableError(error, self._files[file], self._prefix + self._files[file])

    def _file(self, file: int) -> tuple[str, Fits]:
        return self._prefix + self._files[file], self.states.fits(file)


def _digest(*parts: bytes) -> int:
    return int.from_bytes(blake3(b"".join(parts)).digest()[:8], "big") >> 1  # SQLite has 63 bits.


def _device_of(root: Path) -> int:
    try:
        return root.stat().st_dev
    except OSError:
        return 0  # It has just gone: reading it will tell.


def look_through(
    root: Path,
    selection: Selection,
    leave_out: Callable[[str, str], None],
    should_stop: Callable[[], bool],
    unreadable: Unreadable | None = None,
    *,
    is_outside: bool = False,
) -> Tree:
    """Return the contents of the directory `root`, as far as they are selected and can be shared.

    Files that vanish meanwhile may be in it or not; reading them will tell. A directory whose whole
    content is left out counts as an empty one.

    Args:
        root: a directory.
        selection: what of it counts. Where links are followed, no directory is entered again below
            itself.
        leave_out: told of what cannot be shared: its path in the tree, and why.
        should_stop: asked before each directory.
        unreadable: which files need not be tried.
        is_outside: it is not in a node's folder, as is what links lead to.

    Raises:
        GoneError: `should_stop` said so.
        OSError: it cannot be read, or a directory in it cannot be listed for a reason that may
            pass.
        ValueError: there is too much in it.
    """
    is_outside = is_outside or selection.follow_links or root.is_symlink()
    how = leave_out, unreadable or Unreadable()
    walk = Walk(str(root), selection, *how, is_outside=is_outside)
    _run(walk, root, should_stop)
    files = [entry.path for entry in walk.entries if entry.kind in listing.FILES]
    data = listing.encode(walk.entries)
    follows = selection.follow_links
    return Tree(root, data, files, walk.states, walk.left_out, follows_links=follows)


def _run(walk: Walk, root: Path, should_stop: Callable[[], bool]) -> None:
    levels = [iter([""])]
    while levels:  # Not by recursion: directories may be nested a thousand deep.
        directory = next(levels[-1], None)
        if directory is None:
            levels.pop()
        elif should_stop():
            raise GoneError(f"{root}: stopped")
        else:
            levels.append(walk.directories_in(directory))


def everything_in(root: Path) -> Tree:
    """Return what can be shared of the directory `root` as it is now; raises as `look_through`."""
    return look_through(root, EVERYTHING, lambda _, __: None, lambda: False)

"""A directory as one thing: what lies in it, looked through at one moment, and the bytes of it."""

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from blake3 import blake3

from node.file_states import FileStates
from node.layout import Layout
from node.selection import EVERYTHING, Selection
from node.whole import Fits, GoneError, Signature, Stretch, read_unchanged, read_unchanged_into
from protocol import listing, manifest
from protocol.cutting import tree_cut
from protocol.listing import Entry, Listing
from protocol.names import check_path

_ORDINARY = re.compile(r"[^\x00-\x1f\x7f-\x9f\\:\ud800-\udfff]{1,63}\Z")  # 255 bytes at most.
_FILES = {listing.FILE, listing.EXECUTABLE}
_ORDINARY_PATH = 1000  # Characters: 4096 bytes at most.


class Tree:
    """What `look_through` found. Its bytes are those of its listing, then those of its files."""

    def __init__(
        self, root: Path, listing_data: bytes, files: list[str], states: FileStates
    ) -> None:
        """`files` are the paths of the files in the listing, in order, `states` how they were."""
        self.moved(root)
        self.listing_data = listing_data
        self._files = files
        self.states = states
        self._layout = Layout([len(listing_data), *states.sizes])
        parts = (listing_data, states.mtimes.tobytes(), states.inodes.tobytes())
        digest = blake3(b"".join(parts)).digest()
        self.signature = Signature(
            sum(states.sizes),
            max(states.mtimes, default=0),
            int.from_bytes(digest[:8], "big") >> 1,  # It goes into SQLite, which has 63 bits.
            manifest.TREE_MODE,
        )

    @classmethod
    def made(cls, root: Path, listing_data: bytes, found: Listing, states: FileStates) -> "Tree":
        """Return the tree that was just made at `root`, of which it is known what is in it.

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

    def moved(self, root: Path) -> None:
        """Take note that it lies at `root` now."""
        self.root = root
        self._prefix = f"{root}/"  # Joined quicker than paths, for each file that is read.

    def entries(self) -> Iterator[Entry]:
        """Yield what lies in it, in order."""
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

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from there on; raises as `Source` says."""
        for part, start, size_bytes in self._layout.pieces(offset, len(buffer)):
            if part == 0:
                buffer[:size_bytes] = self.listing_data[start : start + size_bytes]
            else:
                read_unchanged_into(*self._file(part - 1), start, buffer[:size_bytes])
            buffer = buffer[size_bytes:]

    def stretches(self, offset: int, size_bytes: int) -> Iterable[Stretch]:
        """Yield where they lie; the listing is in no file."""
        for part, start, count in self._layout.pieces(offset, size_bytes):
            if part == 0:
                yield Stretch("", self.signature.fits, start, count)
            else:
                yield Stretch(*self._file(part - 1), start, count)

    def _part(self, part: int, offset: int, size_bytes: int) -> bytes:
        if part == 0:
            return self.listing_data[offset : offset + size_bytes]
        return read_unchanged(*self._file(part - 1), offset, size_bytes)

    def _file(self, file: int) -> tuple[str, Fits]:
        return self._prefix + self._files[file], self.states.fits(file)


def look_through(
    root: Path,
    selection: Selection,
    leave_out: Callable[[str, str], None],
    should_stop: Callable[[], bool],
) -> Tree:
    """Return what lies in the directory `root` now, as far as it is selected.

    What goes while it is looked at may count or not; reading it will tell.

    Args:
        root: a directory.
        selection: what of it counts.
        leave_out: told of what cannot be shared: its path in the tree, and why.
        should_stop: asked before each directory.

    Raises:
        GoneError: `should_stop` said so.
        OSError: a directory cannot be read.
        ValueError: there is too much in it.
    """
    walk = _Walk(str(root), selection, leave_out)
    levels = [iter([""])]
    while levels:  # Not by recursion: directories may lie in each other a thousand deep.
        directory = next(levels[-1], None)
        if directory is None:
            levels.pop()
        elif should_stop():
            raise GoneError(f"{root}: stopped")
        else:
            levels.append(walk.directories_in(directory))
    files = [entry.path for entry in walk.entries if entry.kind in _FILES]
    return Tree(root, listing.encode(walk.entries), files, walk.states)


def everything_in(root: Path) -> Tree:
    """Return what can be shared of the directory `root` as it is now; raises as `look_through`."""
    return look_through(root, EVERYTHING, lambda _, __: None, lambda: False)


class _Walk:
    """Collects what lies in a tree, in the order of a listing."""

    def __init__(
        self, root: str, selection: Selection, leave_out: Callable[[str, str], None]
    ) -> None:
        self.entries: list[Entry] = []
        self.states = FileStates()
        self._root = root
        self._chooses = selection.chooses
        self._leave_out = leave_out

    def directories_in(self, directory: str) -> Iterator[str]:
        """Take in what lies in one directory; yield those in it, each when its turn comes."""
        try:
            with os.scandir(f"{self._root}/{directory}") as found:
                inside = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            if directory:
                return  # It has gone just now.
            raise
        if directory and not inside and self._chooses(f"{directory}/"):
            self.entries.append(Entry(directory, "d"))
        for entry in inside:
            path = f"{directory}/{entry.name}" if directory else entry.name
            if not self._has_a_good_name(entry.name, path):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield path
            elif self._chooses(path):
                with contextlib.suppress(FileNotFoundError):
                    self._take_in(entry, path)

    def _has_a_good_name(self, name: str, path: str) -> bool:
        if _ORDINARY.match(name) and len(path) < _ORDINARY_PATH:
            return True
        try:
            check_path(path)
        except ValueError as error:
            self._leave_out(path, f"its name {error}")
            return False
        return True

    def _take_in(self, entry: os.DirEntry[str], path: str) -> None:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            kind = listing.EXECUTABLE if self.states.add(status) else listing.FILE
            self.entries.append(Entry(path, kind, status.st_size))
        elif stat.S_ISLNK(status.st_mode):
            self._take_in_link(entry, path)
        else:
            self._leave_out(path, "it is neither a file, a directory nor a link")

    def _take_in_link(self, entry: os.DirEntry[str], path: str) -> None:
        target = os.readlink(entry.path)
        if listing.is_inside(path, target):
            self.entries.append(Entry(path, "l", target=target))
        else:
            self._leave_out(path, "it is a link that may lead out of the directory")

"""What a fetch may replace: nothing, anything, or a thing as it was when looked at.

Hours may pass between the look and the replacing, so at that moment the question is asked again, of
whatever is there then. Replaces nothing itself.
"""

import array
import functools
import os
import stat
from collections.abc import Container
from pathlib import Path
from typing import Self

import msgspec
from blake3 import blake3
from shoal.node.files.raw_files import claim_room, open_own, read_at, write_all
from shoal.node.files.states import FileStates
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import Tree
from shoal.protocol import codec, listing, manifest
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import DIGEST_BYTES, MAX_LISTING_BYTES

# A listing, and for each of its files 8 bytes of each of three kinds.
_MAX_BYTES = MAX_LISTING_BYTES + 24 * listing.MAX_ENTRIES + 1024
_REMEMBERED = "replaces"


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was looked at. Without a listing it is a file."""

    listing: bytes
    are_executable: bytes
    sizes: bytes
    mtimes: bytes
    inodes: bytes


class Seen:
    """A file, or the files, links and directories of a tree, as they were when looked at."""

    def __init__(
        self, listing_data: bytes, states: FileStates, *, follows_links: bool = False
    ) -> None:
        """`listing_data` is that of the tree; empty, if it is a file, with the path b"".

        Of a tree that `follows_links` a file may be a link, with which nothing but itself goes.
        """
        self._listing = listing_data
        self._states = states
        self._follows_links = follows_links

    @classmethod
    def of(cls, source: Source) -> Self:
        if isinstance(source, Tree):
            return cls(source.listing_data, source.states, follows_links=source.follows_links)
        assert isinstance(source, FileSource)
        signature = source.signature
        is_executable = signature.mode == manifest.EXECUTABLE_MODE
        states = FileStates([signature.size_bytes], bytes([is_executable]))
        states.mtimes[0], states.inodes[0] = signature.mtime_ns, signature.inode
        return cls(b"", states)

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Return what `save` wrote; None if it is not there or not whole."""
        try:
            data = read_at(os.fsencode(path), 0, _MAX_BYTES)
            digest, data = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
            if blake3(data).digest() != digest:
                return None
            return cls._read(msgspec.msgpack.decode(data, type=_Document))
        except (OSError, ValueError, MalformedMessageError):
            return None

    @classmethod
    def _read(cls, document: _Document) -> Self:
        """Return what a document says; ValueError or MalformedMessageError if it is invalid."""
        states = FileStates(array.array("Q", document.sizes), document.are_executable)
        states.mtimes = array.array("Q", document.mtimes)
        states.inodes = array.array("Q", document.inodes)
        seen = cls(document.listing, states)
        columns = (states.sizes, states.mtimes, states.inodes, document.are_executable)
        if any(len(column) != len(seen._files) for column in columns):
            raise ValueError("not as many states as files")
        return seen

    def save(self, path: Path) -> None:
        """Write it to `path`, durably; raise OSError if the disk refuses."""
        states = self._states
        columns = (states.sizes, states.mtimes, states.inodes)
        document = _Document(
            self._listing, states.are_executable(), *(column.tobytes() for column in columns)
        )
        data = codec.pack(document)
        descriptor = open_own(os.fsencode(path), os.O_WRONLY)
        try:
            os.ftruncate(descriptor, 0)
            write_all(descriptor, 0, memoryview(blake3(data).digest() + data))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def is_all_of(self, path: bytes, at: bytes, beside: Container[bytes] = ()) -> bool:
        """Return whether everything `at` a place is what was looked at as `path` in the thing.

        What is `beside` it, by paths in the thing, may be anything.
        """
        waiting = [(path, at)]
        while waiting:  # No recursion: directories may be nested a thousand deep.
            path, at = waiting.pop()
            try:
                status = os.lstat(at)
                if stat.S_ISDIR(status.st_mode):
                    above, names = path + b"/" if path else b"", os.listdir(at)
                    waiting += [(above + name, at + b"/" + name) for name in names]
                    if not names and path not in self._folders and path not in beside:
                        return False
                elif path not in beside and not self._is_it(path, at, status):
                    return False
            except FileNotFoundError:
                continue  # It is gone already: this does not lose it.
            except OSError:
                return False
        return True

    def _is_it(self, path: bytes, at: bytes, status: os.stat_result) -> bool:
        if stat.S_ISLNK(status.st_mode):
            known, target = self._links.get(path), os.readlink(at)
            if known is None:
                return self._follows_links and path in self._files
            spelled = listing.respelled(path.decode(), os.fsdecode(target))
            return known == target or (spelled is not None and known == spelled.target.encode())
        file = self._files.get(path) if stat.S_ISREG(status.st_mode) else None
        return file is not None and self._states.fits(file)(status)

    @functools.cached_property
    def _decoded(self) -> listing.Listing | None:
        return listing.decode(self._listing) if self._listing else None

    @functools.cached_property
    def _files(self) -> dict[bytes, int]:
        if self._decoded is None:
            return {b"": 0}
        files = range(len(self._decoded.sizes))
        return {self._decoded.file_path(file): file for file in files}

    @functools.cached_property
    def _links(self) -> dict[bytes, bytes]:
        return dict(self._decoded.links()) if self._decoded else {}

    @functools.cached_property
    def _folders(self) -> set[bytes]:
        if self._decoded is None:
            return set()
        folders = {b"", *self._decoded.empty_folders()}
        for path in self._decoded.paths:
            above = path.rpartition(b"/")[0]
            while above not in folders:
                folders.add(above)
                above = above.rpartition(b"/")[0]
        return folders


class Spare:
    """What may be removed from where something is put."""

    def __init__(self, seen: Seen | None = None, *, anything: bool = False) -> None:
        self.seen = seen
        self.is_anything = anything

    @classmethod
    def as_seen(cls, source: Source) -> Self:
        """Return what a node's folder has, as long as it is still what `source` found there."""
        return cls(Seen.of(source))

    @property
    def is_nothing(self) -> bool:
        return self.seen is None and not self.is_anything

    def allows(self, path: bytes, at: bytes) -> bool:
        """Return whether everything `at` a place may go.

        `path` is where that was in the thing; b"" is the thing itself.
        """
        return self.is_anything or (self.seen is not None and self.seen.is_all_of(path, at))


NOTHING = Spare()
ANYTHING = Spare(anything=True)


def remember(spare: Spare, place: Path) -> None:
    """Store what was looked at, for a later try, in the directory `place`, which is made.

    Raises:
        OSError: the disk refused.
    """
    if spare.seen is not None:
        claim_room(place)
        spare.seen.save(place / _REMEMBERED)


def remembered(place: Path) -> Spare:
    """Return what `remember` stored; nothing may go if that is missing or damaged."""
    return Spare(Seen.load(place / _REMEMBERED))

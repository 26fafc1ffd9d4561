"""One version of a thing that somebody here reads: what of it there is. Fetches nothing."""

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from shoal.node.fetching.steps import ChunksUrged, Stretches
from shoal.node.files.signature import GoneError, Signature
from shoal.node.files.unreadable import SHORT
from shoal.node.folder.inventory import Part
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.whole import Whole
from shoal.node.network.attention import NOTHING
from shoal.node.orders.home import Home
from shoal.node.scheduling.cursor import MOST_AHEAD_BYTES, Cursor
from shoal.node.trees.file_place import place_of
from shoal.protocol import listing
from shoal.protocol.control import There
from shoal.protocol.errors import IntegrityError, MalformedMessageError, NotFoundError
from shoal.protocol.manifest import ContentId, Manifest, decode
from shoal.protocol.names import display

MOST_POINTED_BYTES = 32 << 20  # Then a reader says again where it is.
NOWHERE = -1  # Where a file begins of which only it is here.
MOST_CURSORS = 64  # Whose chunks come first; more readers at a time wait for one another's.


class Opened:
    """A thing by its id. May be used from any thread."""

    def __init__(self, home: Home, content_id: ContentId, what: str) -> None:
        """`what` is how it is ordered: an id, or NAME@ID."""
        self.id = content_id
        self.what = what
        self._home = home
        self._manifest: Manifest | None = None
        self._places: dict[str, tuple[int, int]] = {}  # By path: in all bytes, and the size.
        self._parts: dict[str, FileSource] = {}  # Files of a tree of which only they are here.
        self._places_read: dict[str, _Place] = {}  # By reader; the last to read at the end.
        self._guard = threading.Lock()  # Of these.
        self._last: tuple[int, bytes] = -1, b""  # A chunk: small reads follow one another in it.

    def place(self, inside: str) -> tuple[int, int] | None:
        """Return where a file begins in the thing's bytes, and its size; None if not known yet.

        Raises:
            NotFoundError: it has no such file.
        """
        found = self._places.get(inside)
        if found is not None:
            return found
        known = self._home.inventory.find(self.id)
        if known is None:
            return self._place_of_part(inside)
        thing = self._manifest = known.manifest if isinstance(known, Whole) else decode(known.data)
        if not inside and not thing.is_tree:
            found = 0, thing.size_bytes
        else:
            size_bytes = thing.listing_bytes if inside else 0
            data = self._read(known, 0, size_bytes)
            if data is None or len(data) < size_bytes:
                return self._place_of_part(inside)
            found = self._place_in(data, inside)
        self._places[inside] = found
        return found

    def _place_of_part(self, inside: str) -> tuple[int, int] | None:
        """Return the size of a file of which only it is here; where it begins is not known.

        A fetch that only lacks a small file may be over before anybody has looked at its listing.
        """
        part = self._parts.get(inside)
        return None if part is None else (NOWHERE, part.signature.size_bytes)

    def _known(self, inside: str) -> Whole | Part | None:
        """Return what is here of the thing, if it is known where the file is in it."""
        return self._home.inventory.find(self.id) if inside in self._places else None

    def read(self, inside: str, offset: int, size_bytes: int) -> bytes | None:
        """Return bytes of a file, which has some there; None if the first of them is not here."""
        base, file_bytes = self.place(inside) or (NOWHERE, 0)
        size_bytes = min(size_bytes, file_bytes - offset)
        known = self._known(inside)
        data = self._read(known, base + offset, size_bytes) if known is not None else None
        if data is None and (part := self._parts.get(inside)) is not None:
            with self._checking(inside):
                return part.read(offset, size_bytes)
        return data

    def point(self, inside: str, offset: int) -> There | None:
        """Return where bytes of a file are, from there on; None if the first is not here.

        They may be in several files: then only the first is pointed at.
        """
        base, file_bytes = self.place(inside) or (NOWHERE, 0)
        size_bytes = min(MOST_POINTED_BYTES, file_bytes - offset)
        known = self._known(inside)
        if isinstance(known, Whole):
            found = self._stretch(known.source, base + offset, size_bytes)
            if found is None:
                self._home.watcher.forget(known.name)
            return found
        found = None if known is None else self._place_in_part(known, base + offset, size_bytes)
        if found is None and (part := self._parts.get(inside)) is not None:
            found = self._stretch(part, offset, size_bytes)
            if found is None:
                self._parts.pop(inside, None)
        return found

    def has(self, reader: str, end: int) -> None:
        """Note up to where somebody can read without asking again."""
        with self._guard:
            if reader in self._places_read:
                self._places_read[reader].cursor.has(end)

    def came(self, inside: str, path: Path) -> None:
        """Note that a file of the tree is complete at `path`, though the tree is not."""
        with contextlib.suppress(OSError):
            self._parts[inside] = FileSource(path, Signature.of(path.stat()))

    def moved(self, reader: str, inside: str, offset: int, size_bytes: int) -> bool:
        """Note where somebody reads: from there on, chunks come first.

        Return False if nothing is known of the thing's chunks, as all of the file is here.
        """
        if inside not in self._places:
            return False
        base, file_bytes = self._places[inside]
        with self._guard:
            known = self._places_read.pop(reader, None)
            place = known or _Place(Cursor(file_bytes), base, base + file_bytes)
            place.moved(offset, size_bytes)
            self._places_read[reader] = place
        return True

    def wants_all(self, reader: str) -> bool:
        """Say whether somebody reads a file from end to end."""
        with self._guard:
            return reader in self._places_read and self._places_read[reader].cursor.wants_all

    def left(self, reader: str) -> None:
        """Forget where somebody read."""
        with self._guard:
            self._places_read.pop(reader, None)

    def urged(self) -> ChunksUrged:
        """Return what is to come for all who read, and what of that first."""
        if self._manifest is None:
            return NOTHING
        with self._guard:
            places = list(self._places_read.values())
        first = (one.first for one in places[-MOST_CURSORS:])
        return ChunksUrged(self._chunks(first), self._chunks({one.wanted for one in places}))

    def _chunks(self, stretches: Iterable[tuple[int, int]]) -> Stretches:
        assert self._manifest is not None
        at = self._manifest.chunk_at
        return tuple((at(start), at(end - 1) + 1) for start, end in stretches if end > start)

    def _read(self, known: Whole | Part, offset: int, size_bytes: int) -> bytes | None:
        try:
            if isinstance(known, Whole):
                return known.source.read(offset, size_bytes)
            return self._read_part(known, offset, size_bytes)
        except (OSError, GoneError) as error:
            if isinstance(error, OSError) and error.errno in SHORT:
                raise  # Nothing can be read now, whatever it is.
            if isinstance(known, Whole):
                self._home.watcher.forget(known.name)
            return None

    @contextlib.contextmanager
    def _checking(self, inside: str) -> Iterator[None]:
        """Forget a file that is not as it was; the next fetch finds out what has become of it."""
        try:
            yield
        except (OSError, GoneError):
            self._parts.pop(inside, None)

    @staticmethod
    def _stretch(source: Source, offset: int, size_bytes: int) -> There | None:
        """Point at what is in a file that is as it was."""
        first = next(iter(source.stretches(offset, size_bytes)))
        with contextlib.suppress(OSError):
            status = Path(first.path).stat()
            if first.fits(status):
                times = status.st_mtime_ns, status.st_ctime_ns
                told = status.st_size, *times, status.st_ino
                path = os.fsencode(first.path)
                return There(path, first.offset, min(first.size_bytes, size_bytes), told)
        return None

    def _place_in_part(self, part: Part, offset: int, size_bytes: int) -> There | None:
        """Point at what is here from there on, in one file."""
        assert self._manifest is not None
        thing, have, end = self._manifest, part.have, offset + size_bytes
        index = thing.chunk_at(offset)
        if not have >> index & 1:
            return None
        path, at, count = _piece(part.place(index), offset - thing.chunk_offset(index))
        found_bytes = count
        while (next_at := thing.chunk_offset(index + 1)) < end and have >> (index + 1) & 1:
            index += 1
            more = _piece(part.place(index), 0)
            if more[:2] != (path, at + next_at - offset):
                break
            found_bytes += more[2]
        return There(path, at, min(found_bytes, size_bytes), None)

    def _read_part(self, part: Part, offset: int, size_bytes: int) -> bytes | None:
        """Return what is here from there on, up to a size."""
        assert self._manifest is not None
        thing, have = self._manifest, part.have
        pieces: list[bytes] = []
        end = offset + size_bytes
        while offset < end:
            index = thing.chunk_at(offset)
            if not have >> index & 1:
                break
            start = thing.chunk_offset(index)
            piece = self._chunk(part, index)[offset - start : end - start]
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces) if pieces or not size_bytes else None

    def _chunk(self, part: Part, index: int) -> bytes:
        known, data = self._last
        if known != index:
            data = part.read(index)
            self._last = index, data
        return data

    def _place_in(self, data: bytes, inside: str) -> tuple[int, int]:
        try:
            found = place_of(listing.decode(data), inside) if data else None
        except MalformedMessageError as error:  # Whoever made it was no node of ours.
            message = f"the listing of {display(self.what)} is not one: {error}"
            raise IntegrityError(f"{message}; read another version") from None
        if found is None:
            cause = f"has no file {display(inside)}" if inside else "is a directory"
            raise NotFoundError(f"{display(self.what)} {cause}; give the path of a file in it")
        return len(data) + found[0], found[1]


class _Place:
    """Where one reader is: in which file, and what of the thing's bytes it wants."""

    def __init__(self, cursor: Cursor, start: int, end: int) -> None:
        """The file is from `start` to `end`."""
        self.cursor = cursor
        self.first = self.wanted = (start, start)
        self._start = start
        self._end = end

    def moved(self, offset: int, size_bytes: int) -> None:
        start, end = (self._start + one for one in self.cursor.read(offset, size_bytes))
        self.wanted = start, min(end, self._end)
        if self.cursor.wants_all:
            self.wanted = self._start, self._end
        self.first = start, min(end, start + MOST_AHEAD_BYTES, self._end)


def _piece(pieces: list[tuple[bytes, int, int]], skipped_bytes: int) -> tuple[bytes, int, int]:
    """Return the piece that has the byte behind so many, from that byte on."""
    for path, offset, size_bytes in pieces:
        if skipped_bytes < size_bytes:
            return path, offset + skipped_bytes, size_bytes - skipped_bytes
        skipped_bytes -= size_bytes
    raise GoneError("there is no such byte")

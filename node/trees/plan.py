"""Which files of a tree are wanted, and which chunks they lie in. Reads and writes none of them."""

import itertools
from collections.abc import Callable, Iterable, Iterator

from shoal.node.trees.layout import Layout, Piece
from shoal.node.trees.part import TreePart
from shoal.node.trees.selection import Selection
from shoal.protocol import bitmap
from shoal.protocol.listing import CHECK_ENTRIES, FILES, FOLDER, LINK, Listing, checked
from shoal.protocol.manifest import Manifest

LEAST_IN_TURN = 32  # Chunks: hosts that lack the same few have nothing to exchange.


class TreePlan:
    """One tree's files, by their numbers in its listing, as far as they are selected."""

    def __init__(
        self,
        manifest: Manifest,
        listing: Listing,
        selection: Selection,
        most_mode: int = 0o777,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`listing` is that of the tree whose `manifest` this is; no file has a wider mode.

        `check` is called again and again while the files are selected; it may raise an error.
        """
        self.listing = listing
        self.is_everything = selection.is_everything
        self._manifest = manifest
        self._most_mode = most_mode
        self._layout = Layout(listing.sizes)
        self._are_executable = listing.are_executable()
        self.part = None if self.is_everything else TreePart(listing, selection, check)
        self._is_chosen = bytearray(b"\1") * len(listing.sizes)
        if self.part is not None:
            kinds = zip(self.part.is_chosen, listing.kinds.decode(), strict=True)
            self._is_chosen[:] = bytes(chosen for chosen, kind in kinds if kind in FILES)
        self.needed = bitmap.full(manifest.listing_chunks) | self._chunks_of_chosen(check)

    @property
    def has_any(self) -> bool:
        """Say whether anything is selected; an empty tree is something too."""
        return self.part is None or self.part.has_any

    @property
    def inside(self) -> bytes:
        """Return the real path, in the tree, of what was selected by its path."""
        return b"" if self.part is None else self.part.inside

    def bytes_of(self, chunks: int) -> int:
        """Return how many bytes these chunks (protocol.bitmap) have."""
        return sum(map(self._manifest.chunk_size, bitmap.indices(chunks)))

    def is_chosen(self, file: int) -> bool:
        return bool(self._is_chosen[file])

    def chosen_files(self) -> Iterator[tuple[int, bytes]]:
        """Yield the numbers and paths of the files that are wanted."""
        for file, is_chosen in enumerate(self._is_chosen):
            if is_chosen:
                yield file, self.listing.file_path(file)

    def chosen_links(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the paths and targets of the links that are wanted."""
        return itertools.compress(self.listing.links(), self._are_chosen(LINK))

    def chosen_folders(self) -> Iterator[bytes]:
        """Yield the paths of the empty directories that are wanted."""
        return itertools.compress(self.listing.empty_folders(), self._are_chosen(FOLDER))

    def mode(self, file: int) -> int:
        return (0o755 if self._are_executable[file] else 0o644) & self._most_mode

    def pieces(self, index: int) -> list[Piece]:
        """Return the parts of chunk `index`; the listing counts as file -1."""
        thing = self._manifest
        offset, size_bytes = thing.chunk_offset(index), thing.chunk_size(index)
        if offset < thing.listing_bytes:
            return [(-1, offset, size_bytes)]
        return self._layout.pieces(offset - thing.listing_bytes, size_bytes)

    def turns(self) -> tuple[int, ...]:
        """Return where turns end, as chunks: of the wanted files that are to come together.

        A turn has enough chunks for a swarm to exchange, and is one file if that has as many.
        """
        at, before = self._manifest.chunk_at, self._manifest.listing_bytes
        ends: list[int] = []
        start = self._manifest.listing_chunks
        for file, size_bytes in enumerate(self.listing.sizes):
            if size_bytes and self._is_chosen[file]:
                end = at(before + self._layout.stretch(file)[1] - 1) + 1
                if end - start >= LEAST_IN_TURN:
                    ends.append(end)
                    start = end
        return tuple(ends)

    def start(self, file: int) -> int:
        """Return where a file begins in the bytes of all files."""
        return self._layout.stretch(file)[0]

    def files_in(self, chunks: Iterable[int]) -> set[int]:
        """Return the files that these chunks have a part of."""
        found = (file for index in chunks for file, _, _ in self.pieces(index))
        return set(found) - {-1}

    def chunks_of(self, files: Iterable[int]) -> int:
        """Return the chunks that have a part of these files."""
        at, before = self._manifest.chunk_at, self._manifest.listing_bytes
        chunks: set[int] = set()
        for file in files:
            start, end = self._layout.stretch(file)
            if end > start:
                chunks.update(range(at(before + start), at(before + end - 1) + 1))
        return bitmap.of(chunks)

    def _are_chosen(self, wanted: str) -> Iterator[int]:
        """Yield whether each entry of one kind is wanted."""
        if self.part is None:
            return itertools.repeat(1)
        kinds = zip(self.part.is_chosen, self.listing.kinds.decode(), strict=True)
        return (chosen for chosen, kind in kinds if kind == wanted)

    def _chunks_of_chosen(self, check: Callable[[], None]) -> int:
        if self.is_everything:
            return bitmap.full(self._manifest.chunk_count)
        files = (file for file, is_chosen in enumerate(self._is_chosen) if is_chosen)
        return self.chunks_of(checked(files, check, CHECK_ENTRIES))

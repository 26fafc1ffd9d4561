"""Which chunks of a tree are unchanged since an earlier version, so that they are not read again.

Judges by the states of the files, as the cache does; reads nothing.
"""

from shoal.node.folder.source import Source
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole


class KnownChunks:
    """The chunks of an earlier version, looked up by where they would be in the one of now."""

    def __init__(self, now: Source, before: Whole | None) -> None:
        """Only trees have parts that are known: of a file that changed, all may have."""
        self._now = self._before = None
        if before is not None and isinstance(now, Tree) and isinstance(before.source, Tree):
            self._now, self._before = now, before.source
            self._manifest = before.manifest
            self._same = _same_files(now, before.source)

    def digest(self, offset: int, size_bytes: int) -> bytes | None:
        """Return the digest of so many bytes from there on, if they were a chunk before."""
        if self._now is None or self._before is None:
            return None
        pieces = self._now.pieces(offset, size_bytes)
        were = [(self._same[file], start, count) for file, start, count in pieces]
        file, start, _ = were[0]
        if file < 0:
            return None
        offset = self._before.offset_of(file) + start
        index = self._manifest.chunk_at(offset)
        is_chunk = self._manifest.chunk_offset(index) == offset
        if not is_chunk or self._manifest.chunk_size(index) != size_bytes:
            return None
        is_same = self._before.pieces(offset, size_bytes) == were
        return self._manifest.digest(index) if is_same else None


def _same_files(now: Tree, before: Tree) -> list[int]:
    """Return, for each file, which one it was if it is unchanged, else -1. The listing has -1."""
    numbers = {path: number for number, path in enumerate(before.file_paths())}
    known = [numbers.pop(path, -1) for path in now.file_paths()]
    inodes = {before.states.inodes[was]: was for was in numbers.values()}  # Of those that are gone.
    same: list[int] = []
    for file, was in enumerate(known):
        is_same = was >= 0 and now.states.is_same(file, before.states, was)
        if was < 0:
            was = inodes.get(now.states.inodes[file], -1)  # noqa: PLW2901
            is_same = was >= 0 and now.states.is_moved(file, before.states, was)
        same.append(was if is_same else -1)
    return [*same, -1]

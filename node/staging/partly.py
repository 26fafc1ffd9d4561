"""What a fetch that was given up has left in `.shoal/partial/ID`: to copy from.

Trusts nothing it finds there: who copies verifies each chunk.
"""

import os
from pathlib import Path

from shoal.node.files.raw_files import read_at
from shoal.node.files.signature import Fits, Signature
from shoal.node.files.states import FileStates
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.node.staging.file_staging import staging_place
from shoal.protocol import listing
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import MAX_LISTING_BYTES, MAX_MANIFEST_BYTES, ContentId, decode


def remains_of(folder: Path, content_id: str, name: str) -> Whole | None:
    """Return what is there, as if it were all of it; None if there is nothing of use."""
    place = staging_place(folder, ContentId(content_id))
    try:
        data = read_at(os.fsencode(place / "manifest"), 0, MAX_MANIFEST_BYTES)
        source: Source
        if decode(data).is_tree:
            source = _tree(place)
        else:
            path = place / "data"
            source = FileSource(path, Signature.of(path.lstat()))
        return Whole(name, data, source)
    except (OSError, MalformedMessageError):
        return None


class _Came(Tree):
    """A tree of whose files some have come, or only parts of them."""

    def _file(self, file: int) -> tuple[str, Fits]:
        path, _ = super()._file(file)
        return path, lambda _: True  # How a file is that is not all there is nobody's matter.


def _tree(place: Path) -> Tree:
    data = read_at(os.fsencode(place / "listing"), 0, MAX_LISTING_BYTES)
    found = listing.decode(data)
    states = FileStates(found.sizes, found.are_executable())
    files = [found.file_path(file).decode() for file in range(len(found.sizes))]
    return _Came(place / "tree", data, files, states)

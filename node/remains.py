"""What a fetch that was given up has left in `.shoal/partial/ID`: to copy from, and to remove.

Trusts nothing it finds there: who copies verifies each chunk.
"""

import contextlib
import os
from pathlib import Path

from node.file_states import FileStates
from node.placing import remove
from node.raw_files import read_at
from node.staging import staging_place
from node.tree import Tree
from node.whole import FileSource, Signature, Source, Whole
from protocol import listing
from protocol.errors import MalformedMessageError
from protocol.manifest import MAX_LISTING_BYTES, MAX_MANIFEST_BYTES, ContentId, decode


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


def discard(folder: Path, content_id: str) -> None:
    """Remove what is there."""
    remove(staging_place(folder, ContentId(content_id)))


def _tree(place: Path) -> Tree:
    data = read_at(os.fsencode(place / "listing"), 0, MAX_LISTING_BYTES)
    found = listing.decode(data)
    states = FileStates(found.sizes, found.are_executable())
    files = [found.file_path(file).decode() for file in range(len(found.sizes))]
    for file, path in enumerate(files):
        with contextlib.suppress(OSError):  # It has not come.
            states.note(file, (place / "tree" / path).lstat())
    return Tree(place / "tree", data, files, states)

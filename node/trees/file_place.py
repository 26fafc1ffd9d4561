"""Where one file's bytes are in the bytes of its tree. Reads none of them."""

from shoal.node.trees.layout import Layout
from shoal.node.trees.part import TreePart
from shoal.node.trees.selection import Selection
from shoal.protocol.listing import Listing


def place_of(listing: Listing, path: str) -> tuple[int, int] | None:
    """Return where a file begins, after the listing, and its size; None if there is none.

    Links in the tree are followed.
    """
    real = TreePart(listing, Selection(inside=path)).inside
    files = (file for file in range(len(listing.sizes)) if listing.file_path(file) == real)
    found = next(files, None) if real else None
    if found is None:
        return None
    start, end = Layout(listing.sizes).stretch(found)
    return start, end - start

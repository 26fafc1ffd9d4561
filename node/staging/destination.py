"""Where a thing is to go, and what of it. Puts nothing there."""

from pathlib import Path

import msgspec
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.titles import Title


class Destination(msgspec.Struct, frozen=True):
    """A node's folder, or an `output` elsewhere; the bytes are staged in the folder."""

    folder: Path
    output: Path | None = None
    selection: Selection = EVERYTHING  # What of a tree.
    in_place: bool = False  # The files of a tree appear one by one.
    heals: bool = False  # It replaces a damaged thing; anything else in the directory stays.
    title: Title = Title("")  # Which version it is, as far as that is known.

    @property
    def appears(self) -> bool:
        """Whether it comes into the folder file by file, and not in one step."""
        return self.in_place and self.output is None

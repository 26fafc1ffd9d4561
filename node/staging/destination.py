"""Where a thing is to go, and what of it. Puts nothing there."""

from pathlib import Path

import msgspec
from shoal.node.staging.remains import staging_place
from shoal.node.trees.selection import EVERYTHING, Selection
from shoal.protocol.manifest import ContentId
from shoal.protocol.titles import Title

_ASIDE_BYTES = 200  # Of a name, which may have 255.


class Destination(msgspec.Struct, frozen=True):
    """A node's folder, or an `output` elsewhere; the bytes are staged in the folder.

    What is `linked` is served from the output: a link in the folder leads to it. It is staged
    beside that, unless the folder is on the same file system.
    """

    folder: Path
    output: Path | None = None
    selection: Selection = EVERYTHING  # What of a tree.
    linked: bool = False
    in_place: bool = False  # The files of a tree appear one by one.
    heals: bool = False  # It replaces a damaged thing; anything else in the directory stays.
    title: Title = Title("")  # Which version it is, as far as that is known.
    reserves: bool = True  # Room on the disk, for all of it; otherwise room is only looked for.

    def staging_place(self, content_id: ContentId) -> Path:
        """Return where its bytes are staged; raise OSError if there is no such directory."""
        place = staging_place(self.folder, content_id)
        if self.beside is None:
            return place
        return self.beside / place.name

    @property
    def beside(self) -> Path | None:
        """Return what is made for staging beside the output; None if it is staged in the folder."""
        if not self.linked or self.output is None:
            return None
        try:
            if self.output.parent.stat().st_dev == self.folder.stat().st_dev:
                return None
        except OSError:
            return None  # Making room will tell.
        name = self.output.name.encode()[:_ASIDE_BYTES].decode(errors="ignore")
        return self.output.parent / f".{name}.shoal-fetch"

    @property
    def appears(self) -> bool:
        """Whether it comes into the folder file by file, and not in one step."""
        return self.in_place and self.output is None

"""Where a tree lies while it is fetched: `.shoal/partial/ID/`. Knows nothing of chunks.

Whatever was put there meanwhile, nothing is written through it to some other place.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from shoal.node.files.directories import make, opened, sweep
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import claim, claim_directory, claim_room, read_at, write_at
from shoal.node.trees.plan import TreePlan


class TreePlace:
    """The manifest, the listing, the files that are wanted, and the rest."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = path / "tree"
        self.listing = os.fsencode(path / "listing")
        self.rest = os.fsencode(path / "rest")
        self.aside = os.fsencode(path / "aside")  # For what is removed from where files appear.
        self._manifest = os.fsencode(path / "manifest")
        self._root = os.fsencode(self.tree) + b"/"
        self._made = {b""}  # Directories below the root.

    def open(self, manifest: bytes) -> None:
        """Make room for the listing, and note what is fetched.

        Raises:
            OSError: the disk refused.
        """
        claim_room(self.path)
        for path in (self.listing, self.rest):
            claim(path)
        remove(self._manifest)
        write_at(self._manifest, 0, memoryview(manifest))

    def lay_out(self, plan: TreePlan, check: Callable[[], None] = lambda: None) -> bool:
        """Make the directories of the files that are wanted; say whether none can be there yet.

        What else is there goes: another try may have wanted more, and somebody may have put it
        there. `check` is called before each, and may raise what it likes.

        Raises:
            OSError: the disk refused.
        """
        is_new = claim_directory(self.tree)
        if not is_new:
            with opened(self.tree) as directory:
                sweep(directory, _is_wanted(plan))
        made = b""
        for _, path in plan.chosen_files():
            above = path.rpartition(b"/")[0]
            if above != made:  # What lies in a directory stands together.
                check()
                self.make_directory(above)
                made = above
        return is_new

    def file(self, path: bytes) -> bytes:
        """Return where the file at `path` in the tree lies."""
        return self._root + path

    def make_directory(self, path: bytes) -> None:
        """Make a directory of the tree, and those above it."""
        make(self._root, path, self._made)

    def read_listing(self, size_bytes: int) -> bytes:
        return read_at(self.listing, 0, size_bytes)


def _is_wanted(plan: TreePlan) -> Callable[[bytes, "os.DirEntry[str]"], bool]:
    """Return what says whether a file may be what an earlier try wrote of a wanted one."""
    sizes = plan.listing.sizes
    files = {path: file for file, path in plan.chosen_files()}

    def is_wanted(path: bytes, entry: "os.DirEntry[str]") -> bool:
        if path not in files:
            return False
        status = entry.stat(follow_symlinks=False)
        is_ours = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        return is_ours and status.st_size <= sizes[files[path]]

    return is_wanted

"""What interrupted fetches have left in `.shoal/partial`: found, copied from, removed.

Never what is being fetched now: one process owns the folder, and its inventory knows. Others decide
when something is to be removed (node.orders.sweeper).
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import read_at, write_at
from shoal.node.files.signature import Fits, Signature
from shoal.node.files.states import FileStates
from shoal.node.folder import leftovers
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import used_below
from shoal.node.folder.source import FileSource, Source
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.protocol import listing
from shoal.protocol.errors import MalformedMessageError
from shoal.protocol.manifest import (
    MAX_LISTING_BYTES,
    MAX_MANIFEST_BYTES,
    ContentId,
    decode,
    is_id,
)
from shoal.protocol.names import check_name

MOST_NAME_BYTES = 4096


class Remain(msgspec.Struct, frozen=True):
    """What is left of one fetch."""

    name: str  # Empty: it was not noted.
    id: ContentId
    size_bytes: int  # On the disk.
    age_s: float  # Since something of it was written.


def staging_place(folder: Path, content_id: ContentId) -> Path:
    """Return where a thing is staged in a node's `folder` while it is fetched."""
    return folder / ".shoal/partial" / content_id.removeprefix("b3:")


def note_name(place: Path, name: str) -> None:
    """Note what is fetched to a staging place; OSError if the disk refuses."""
    path = place / "name"
    remove(path)
    write_at(os.fsencode(path), 0, memoryview(name.encode()))


def found(folder: Path) -> list[Remain]:
    """Return what is left in a node's folder, and what is being fetched now, by their ids."""
    return [_look_at(staging_place(folder, one), one) for one in _ids(folder)]


class Remains:
    """What is left in the folder of a running node."""

    def __init__(self, folder: Path, inventory: Inventory) -> None:
        self._folder = folder
        self._inventory = inventory

    def found(self) -> list[Remain]:
        """Return what is left, without what is being fetched now."""
        return [one for one in found(self._folder) if not self._inventory.is_fetched(one.id)]

    def to_copy_from(self, content_id: ContentId, name: str) -> Whole | None:
        """Return what is left of a fetch as if it were whole, None if it is of no use.

        Nothing in it is to be trusted: each chunk that is copied must be verified.
        """
        place = staging_place(self._folder, content_id)
        try:
            data = read_at(os.fsencode(place / "manifest"), 0, MAX_MANIFEST_BYTES)
            return Whole(name, data, _source(place, is_tree=decode(data).is_tree))
        except (OSError, MalformedMessageError):
            return None

    def discard(self, content_id: ContentId, check: Callable[[], None] | None = None) -> bool:
        """Remove what is left of a fetch; return False, without doing so, if it is running.

        With a `check`, wait until all of it is gone; it is called meanwhile and may raise an error.
        """
        place = staging_place(self._folder, content_id)
        aside = leftovers.deleted(self._folder)
        try:
            return self._inventory.unless_fetched(content_id, lambda: _take_away(place, aside))
        finally:
            if check is None:
                leftovers.remove_soon(aside)
            else:
                remove(aside, check=check)

    def discard_others(self, name: str, content_id: str) -> None:
        """Remove what is left of other versions of a name, as its newest one has come."""
        for other in _ids(self._folder):
            if other != content_id and _name(staging_place(self._folder, other)) == name:
                self.discard(other)

    def discard_if(
        self, is_over: Callable[[Remain], bool], check: Callable[[], None] | None = None
    ) -> list[Remain]:
        """Remove those for which `is_over` holds, as `discard`; return what was removed."""
        return [one for one in self.found() if is_over(one) and self.discard(one.id, check)]


class _Came(Tree):
    """A tree of whose files some have come, perhaps in part."""

    def _file(self, file: int) -> tuple[str, Fits]:
        path, _ = super()._file(file)
        return path, lambda _: True  # An incomplete file may be in any state.


def _source(place: Path, *, is_tree: bool) -> Source:
    if not is_tree:
        path = place / "data"
        return FileSource(path, Signature.of(path.lstat()))
    data = read_at(os.fsencode(place / "listing"), 0, MAX_LISTING_BYTES)
    known = listing.decode(data)
    states = FileStates(known.sizes, known.are_executable())
    files = [known.file_path(file).decode() for file in range(len(known.sizes))]
    return _Came(place / "tree", data, files, states)


def _look_at(place: Path, content_id: ContentId) -> Remain:
    used = used_below(place)
    now_s = time.time()  # noqa: TID251 (it is compared with the times of files)
    age_s = now_s - used.changed_s
    return Remain(_name(place), content_id, used.on_disk_bytes, age_s)


def _ids(folder: Path) -> list[ContentId]:
    """Return the ids that have a staging place; anything else in there is not ours."""
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder / ".shoal/partial") as entries:
        names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    return [ContentId(f"b3:{name}") for name in names if is_id(f"b3:{name}")]


def _take_away(place: Path, aside: Path) -> None:
    try:
        place.rename(aside)
    except OSError:  # It is on another file system, or is just going away.
        remove(place)


def _name(place: Path) -> str:
    try:
        name = read_at(os.fsencode(place / "name"), 0, MOST_NAME_BYTES).decode()
        return name if is_id(name) else check_name(name)
    except (OSError, ValueError):  # A loss of power leaves zeros.
        return ""

"""What interrupted fetches have left in `.shoal/partial`: found, named and removed.

Never what is being fetched: one process has the folder, and its inventory knows. When it is time to
remove something is for others to say (node.sweeper).
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.node.files.placing import remove
from shoal.node.files.raw_files import read_at, write_at
from shoal.node.folder import leftovers
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import used_below
from shoal.protocol.manifest import ContentId, is_id

MOST_NAME_BYTES = 4096


class Remain(msgspec.Struct, frozen=True):
    """What is left of one fetch."""

    name: str  # Empty: nobody has noted it.
    id: ContentId
    size_bytes: int  # On the disk.
    age_s: float  # Since something of it was written.


def note_name(place: Path, name: str) -> None:
    """Note what is fetched to a staging place; OSError if the disk refuses."""
    path = place / "name"
    remove(path)
    write_at(os.fsencode(path), 0, memoryview(name.encode()))


def found(folder: Path) -> list[Remain]:
    """Return what is left in a node's folder, and what is just being fetched, by their ids."""
    return [_look_at(_place(folder, content_id), content_id) for content_id in _ids(folder)]


class Remains:
    """What is left in the folder of one node that runs."""

    def __init__(self, folder: Path, inventory: Inventory) -> None:
        self._folder = folder
        self._inventory = inventory

    def found(self) -> list[Remain]:
        """Return what is left, without what is being fetched now."""
        return [one for one in found(self._folder) if not self._inventory.is_fetched(one.id)]

    def discard(self, content_id: ContentId) -> bool:
        """Remove what is left of a fetch; refuse, and say so, if it is being fetched."""
        place = _place(self._folder, content_id)
        aside = leftovers.deleted(self._folder)
        try:
            return self._inventory.unless_fetched(content_id, lambda: _take_away(place, aside))
        finally:
            remove(aside)

    def discard_others(self, name: str, content_id: str) -> None:
        """Remove what is left of other versions of a name: its newest one has come."""
        for other in _ids(self._folder):
            if other != content_id and _name(_place(self._folder, other)) == name:
                self.discard(other)

    def discard_if(self, is_over: Callable[[Remain], bool]) -> list[Remain]:
        """Remove those of which that is said; return what is gone."""
        return [one for one in self.found() if is_over(one) and self.discard(one.id)]


def _look_at(place: Path, content_id: ContentId) -> Remain:
    used = used_below(place)
    now_s = time.time()  # noqa: TID251 (it is compared with the times of files)
    age_s = now_s - used.changed_s
    return Remain(_name(place), content_id, used.on_disk_bytes, age_s)


def _ids(folder: Path) -> list[ContentId]:
    """Return what there are places for; what else is there is not ours."""
    names: list[str] = []
    with contextlib.suppress(OSError), os.scandir(folder / ".shoal/partial") as entries:
        names = sorted(one.name for one in entries if one.is_dir(follow_symlinks=False))
    return [ContentId(f"b3:{name}") for name in names if is_id(f"b3:{name}")]


def _place(folder: Path, content_id: ContentId) -> Path:
    return folder / ".shoal/partial" / content_id.removeprefix("b3:")


def _take_away(place: Path, aside: Path) -> None:
    try:
        place.rename(aside)
    except OSError:  # It is another file system's, or is just going.
        remove(place)


def _name(place: Path) -> str:
    try:
        return read_at(os.fsencode(place / "name"), 0, MOST_NAME_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return ""

"""What users have outside of the folders: shared by link, fetched there, or in the way there.

Sees that the product only reads what it has not put there itself.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from shoal.protocol import listing
from shoal.protocol.names import RESERVED_FOLDER

from tests.simulation.faults.content import look
from tests.simulation.faults.trace import Finding

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.hosts import NodeHost

State = tuple[int, int, int, int, int]  # Mode, inode, size, mtime and ctime: any call shows.


class Place(msgspec.Struct, eq=False):
    """A file or a directory outside of its host's folder."""

    host: str
    name: str  # Under which it is shared.
    path: Path
    is_users: bool  # Else it was fetched there, and the product may do so again.
    states: dict[str, State] = {}


class Outside:
    """All places outside of the folders."""

    def __init__(self, cluster: "Cluster") -> None:
        self.places: list[Place] = []
        self._cluster = cluster

    def put(self, host: str, name: str, path: Path) -> Place:
        """Note that a user has put something there, which is only to be read."""
        self._may_lead_to(host, name, path)
        place = Place(host, name, path, is_users=True, states=_states(path))
        self.places.append(place)
        self._cluster.nodes[host].disk.has_places = True
        return place

    def fetched(self, host: str, name: str, path: Path) -> None:
        """Note that something has been fetched to there."""
        if all(one.path != path for one in self.places):
            self.places.append(Place(host, name, path, is_users=False))

    def goes_to(self, host: str, name: str, path: Path) -> None:
        """Note that something may be fetched to there: the folder will have a link."""
        self._may_lead_to(host, name, path)

    def touched(self, place: Place) -> None:
        """Take the place as it is now, as a user has just changed it."""
        place.states = _states(place.path)
        if not place.states:
            self.places.remove(place)

    def _may_lead_to(self, host: str, name: str, path: Path) -> None:
        link = {"": (listing.LINK, os.fsencode(path))}
        self._cluster.archive.note_own(host, name, link)
        self._cluster.archive.note_own(host, f"{name}-old", link)

    # While it happens.

    def done_to(self, host: "NodeHost", call: str, path: str) -> None:
        """Take in that the host's processes have changed, made or removed something."""
        if host.read_only and _is_in(path, host.folder):
            raise Finding("linked", f"{host.name}: {call} in a folder that is only read: {path}")
        for place in self.places:
            if place.is_users and place.host == host.name and _is_in(path, place.path):
                raise Finding("linked", f"{host.name}: {call} of a user's own: {path}")

    def look(self) -> None:
        """Require that what users have is as they have left it."""
        for place in self.places:
            if place.is_users and _states(place.path) != place.states:
                text = f"{place.host}: {place.path} was written, replaced or removed"
                raise Finding("linked", text)

    def scan(self) -> None:
        """Require that what was fetched to somewhere has bytes that somebody has put anywhere."""
        for place in self.places:
            found = None if place.is_users else look(place.path)
            wrong = found and self._cluster.archive.wrong(place.host, place.name, found)
            if wrong is not None and found is not None:
                text = f"{place.host}: {place.path} has bytes at '{wrong}' that nobody put there"
                raise Finding("bytes", text)


def _is_in(path: str, place: Path) -> bool:
    return path == str(place) or path.startswith(f"{place}/")


def is_reserved(path: str, folder: Path) -> bool:
    """Say whether a path is in the `.shoal` of a folder."""
    return _is_in(path, folder / RESERVED_FOLDER)


def _states(path: Path) -> dict[str, State]:
    return {
        os.path.relpath(one, path): _state(one.lstat())
        for one in _all_in(path)
        if os.path.lexists(one)
    }


def _all_in(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        yield from sorted(path.rglob("*"))


def _state(status: os.stat_result) -> State:
    size_bytes = status.st_size if stat.S_ISREG(status.st_mode) else 0
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_mode, status.st_ino, size_bytes, *times

"""Who a node is. Does nothing itself."""

from pathlib import Path

import msgspec
from shoal.node.fetching.settings import FetchSettings
from shoal.node.folder.occasions import RESCAN_S
from shoal.node.network.rates import RateLimits
from shoal.protocol.keyring import Keyring
from shoal.protocol.trackers import Trackers


class Identity(msgspec.Struct, frozen=True):
    """A node's name and places, where its trackers are, and what it was told to keep to.

    `ring` changes while the node runs, as does what `trackers` knows of failures.
    """

    name: str
    address: str
    folder: Path
    trackers: Trackers
    quota_bytes: int | None = None
    fetching: FetchSettings = FetchSettings()
    rescan_s: float = RESCAN_S
    serves: bool = True  # A reader does not: it fetches, and announces nothing.
    listed: dict[str, str] = {}  # The addresses of all nodes in the cluster file, by name.
    obeys: bool = False  # It fetches what the tracker wishes it to hold.
    in_place: bool = False  # What it is wished to hold appears file by file.
    ring: Keyring | None = None  # None: the cluster file has no keys.
    limits: RateLimits = RateLimits()
    listen: str | None = None  # Where it listens, if that is not its address.
    state_folder: Path | None = None  # What its `.shoal` is in, if that is not the folder.
    read_only: bool = False  # Nothing is written into the folder.

    @property
    def home(self) -> Path:
        """What its `.shoal` is in."""
        return self.state_folder or self.folder

    @property
    def writable(self) -> Path:
        """Where links are, and things on their way: in the folder, on its file system, if it may.

        The latter are in a `.shoal` there, too.
        """
        return self.home if self.read_only else self.folder

    def place(self, name: str) -> Path:
        """Return where the thing of that name is."""
        place = self.writable / name
        return place if not self.read_only or place.is_symlink() else self.folder / name

    @property
    def bound_to(self) -> str:
        """Where it listens."""
        return self.listen or self.address

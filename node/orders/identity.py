"""Who a node is. Does nothing itself."""

from pathlib import Path

import msgspec
from shoal.node.fetching.settings import FetchSettings
from shoal.node.folder.occasions import RESCAN_S
from shoal.node.network.rates import RateLimits
from shoal.protocol.keyring import Keyring


class Identity(msgspec.Struct, frozen=True):
    """A node's name and places, where its tracker is, and what it was told to keep to.

    `ring` changes while the node runs.
    """

    name: str
    address: str
    folder: Path
    tracker_address: str
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

    @property
    def bound_to(self) -> str:
        """Where it listens."""
        return self.listen or self.address

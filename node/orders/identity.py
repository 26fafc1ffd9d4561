"""Who a node is. Does nothing itself."""

from pathlib import Path

import msgspec
from shoal.node.fetching.settings import FetchSettings
from shoal.node.folder.occasions import RESCAN_S


class Identity(msgspec.Struct, frozen=True):
    """A node's name and places, where its tracker is, and what it was told to keep to."""

    name: str
    address: str
    folder: Path
    tracker_address: str
    quota_bytes: int | None = None
    fetching: FetchSettings = FetchSettings()
    rescan_s: float = RESCAN_S

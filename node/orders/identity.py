"""Who a node is. Does nothing itself."""

from pathlib import Path

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """A node's name and places, and where its tracker is."""

    name: str
    address: str
    folder: Path
    tracker_address: str
    quota_bytes: int | None = None

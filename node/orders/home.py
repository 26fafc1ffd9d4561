"""What belongs to one node, for all that is done in its name. Does nothing itself."""

from pathlib import Path

import msgspec
import zmq
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.watcher import Watcher
from shoal.node.staging.remains import Remains


class Identity(msgspec.Struct, frozen=True):
    """Who the node is, and where the tracker."""

    name: str
    address: str
    folder: Path
    tracker_address: str
    quota_bytes: int | None = None


class Home(msgspec.Struct, frozen=True):
    """One node's parts."""

    identity: Identity
    context: "zmq.Context[zmq.Socket[bytes]]"
    inventory: Inventory
    cache: Cache
    rules: Rules
    register: Register
    watcher: Watcher
    quota: Quota
    remains: Remains

"""What belongs to one node, for all that is done in its name. Does nothing itself."""

from pathlib import Path

import msgspec
import zmq
from shoal.node.cache import Cache
from shoal.node.inventory import Inventory
from shoal.node.quota import Quota
from shoal.node.register import Register
from shoal.node.remains import Remains
from shoal.node.rules import Rules
from shoal.node.watcher import Watcher


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

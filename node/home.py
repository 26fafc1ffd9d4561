"""What belongs to one node, for all that is done in its name. Does nothing itself."""

from pathlib import Path

import msgspec
import zmq

from node.cache import Cache
from node.inventory import Inventory
from node.quota import Quota
from node.register import Register
from node.remains import Remains
from node.rules import Rules
from node.watcher import Watcher


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

"""The parts of one node that orders work with. Does nothing itself."""

import msgspec
import zmq
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.watcher import Watcher
from shoal.node.orders.identity import Identity
from shoal.node.staging.remains import Remains


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

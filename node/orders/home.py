"""The parts of one node that orders work with. Does nothing itself."""

from collections.abc import Callable

import msgspec
import zmq
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.watcher import Watcher
from shoal.node.network.attention import Attention
from shoal.node.network.rates import Rates
from shoal.node.network.totals import Totals
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
    token: Callable[[], str]  # What shows the tracker that it is this node.
    totals: Totals  # What its fetches have received.
    rates: Rates
    attention: Attention = msgspec.field(default_factory=Attention)  # What its readers wait for.

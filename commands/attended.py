"""A local node while a command uses it: what interrupts the command cancels the node's work."""

import contextlib
import threading
from collections.abc import Iterator

from shoal.api.local_node import LocalNode
from shoal.commands import terminal
from shoal.commands.stopping import Stopper
from shoal.commands.thread_guard import ThreadGuard
from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.errors import TimedOutError
from shoal.system import descriptors
from shoal.system.memory import keep_freed_memory


@contextlib.contextmanager
def attended(
    cluster: Cluster, entry: NodeEntry, timeout_s: float | None = None
) -> Iterator[LocalNode]:
    """Open a node on this machine; a signal, the time-out or a thread that dies cancels its work.

    Raises:
        OperatorError: as `LocalNode`, or a thread has died (a BugError).
    """
    keep_freed_memory()
    descriptors.raise_limit()
    node = LocalNode(cluster, entry, terminal.say)
    Stopper(node.cancel)
    timer = threading.Timer(timeout_s or 0.0, node.cancel, [TimedOutError])
    timer.daemon = True
    if timeout_s is not None:
        timer.start()
    try:
        with ThreadGuard(node.cancel), node:
            yield node
    finally:
        timer.cancel()

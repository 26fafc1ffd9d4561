"""The requests that wait for their answer, taken from one connection after the other, as by a REP.

Where limits on what each asker may have waiting belong. Answers nothing.
"""

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.node.serving.steps import Arrived, Source


class Waiting:
    """A queue for each connection. Empty queues are dropped."""

    def __init__(self) -> None:
        self._queues: collections.OrderedDict[Source, collections.deque[Arrived]] = (
            collections.OrderedDict()
        )

    def __len__(self) -> int:
        """Return how many connections have requests waiting."""
        return len(self._queues)

    def put(self, arrived: "Arrived") -> None:
        """Take in a request."""
        queue = self._queues.get(arrived.source)
        if queue is None:
            self._queues[arrived.source] = collections.deque([arrived])
        else:
            queue.append(arrived)

    def take(self) -> "Arrived":
        """Remove the next request: the oldest of the connection that has waited longest."""
        source, queue = self._queues.popitem(last=False)
        arrived = queue.popleft()
        if queue:
            self._queues[source] = queue
        return arrived

"""Whose requests a holder serves while several ask: each host gets a share, and each of its nodes.

Requests are taken from one connection after the other, which is fair to connections. A node that
opens many, or fetches many things at once, would leave the others little. Only as many of its
requests are served as make up for that; the rest are told to come again. Sends nothing, and draws
from a given generator.
"""

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from shoal.node.serving.steps import Source

MOST_IN_ROUND = 1024  # Connections: one that is new for each request would never come twice.


class Turns:
    """Counts the connections in rounds: one ends when a connection comes for the second time.

    A connection that always has a request waiting comes once in each round. One that was not in the
    last round wants less than it could have, and nobody is kept waiting for it.
    """

    def __init__(self, rng: "Random") -> None:
        self._rng = rng
        self._coming: dict[Source, str] = {}
        self._last: dict[Source, str] = {}
        self._counts: dict[str, collections.Counter[str]] = {}  # Of each node, by its address.
        self._largest_share = 0.0

    def has_turn(self, source: "Source", node: str) -> bool:
        """Say whether to serve the next request of `node`, which came from `source`."""
        if source in self._coming or len(self._coming) >= MOST_IN_ROUND:
            self._end_round()
        self._coming[source] = node
        if not self._counts:
            return True
        share = self._share(source, node)
        return share >= self._largest_share or self._rng.random() * self._largest_share < share

    def _share(self, source: "Source", node: str) -> float:
        """Return what part of a host's share a connection gets, judging by the last round."""
        nodes = self._counts.get(source.address)
        if nodes is None:
            return 1.0
        if source in self._last:
            node = self._last[source]  # Whatever it calls itself now.
        return 1 / (len(nodes) * max(1, nodes[node]))

    def _end_round(self) -> None:
        self._last, self._coming = self._coming, {}
        self._counts = {}
        if len(self._last) == 1 or len({source.address for source in self._last}) == len(
            self._last
        ):
            return  # Each has one connection, as is usual.
        for source, node in self._last.items():
            self._counts.setdefault(source.address, collections.Counter())[node] += 1
        shares = (
            1 / (len(nodes) * most) for nodes in self._counts.values() for most in nodes.values()
        )
        self._largest_share = max(shares)

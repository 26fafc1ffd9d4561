"""A rate for the whole cluster, lent to those who serve now. Knows neither addresses nor holdings.

Each node says how much it could send. Who wants less than its equal share gets that, and the others
share the rest; what nobody wants is added to all, so that who speeds up need not wait to be heard.
"""

import math
from collections.abc import Mapping

SETTLE_S = 0.1  # Shares are worked out anew after this, when somebody wants something else, …
SETTLE_NODE_S = 0.001  # … and this for each node: all of them hear of it.
SILENT_S = 10.0  # A node that has not spoken for so long wants nothing: five of its renewals.
SAME = 0.02  # A share that changes by less is not told at once.


def shares(budget: int, wants: Mapping[str, int]) -> dict[str, int]:
    """Return the share of each node, in bytes/s; together they are the budget.

    Args:
        budget: what all may send together, in bytes/s.
        wants: what each that serves could send, in bytes/s.
    """
    given: dict[str, int] = {}
    left = budget
    for node in sorted(wants, key=lambda one: (wants[one], one)):
        given[node] = min(wants[node], left // (len(wants) - len(given)))
        left -= given[node]
    more = left // max(len(wants), 1)
    return {node: share + more for node, share in given.items()}


class Lending:
    """Who wants how much, and what each has been lent. `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._budget: int | None = None
        self._nodes = 1
        self._wants: dict[str, int] = {}
        self._heard_at: dict[str, float] = {}  # The longest ago first.
        self._shares: dict[str, int] = {}
        self._settle_at = math.inf

    def learn(self, budget: int | None, nodes: int) -> None:
        """Lend another budget, in bytes/s, from now on; None: there is none.

        `nodes` is how many there are: each may begin to serve with its part of the budget.
        """
        if budget != self._budget:
            self._settle_at = -math.inf
        self._budget, self._nodes = budget, max(nodes, 1)
        if budget is None:  # Nobody is heard any more, nor do those who were fall silent.
            self._wants.clear()
            self._heard_at.clear()

    @property
    def deadline(self) -> float:
        """When `settle` has something to do, if nobody speaks before."""
        silent_at = next(iter(self._heard_at.values()), math.inf) + SILENT_S
        return min(self._settle_at, silent_at)

    def heard(self, node: str, wants: int, now: float) -> None:
        """Note what a node could send, in bytes/s; 0: it sends nothing now."""
        if self._budget is None:
            return
        self._heard_at.pop(node, None)
        if wants:
            self._heard_at[node] = now
        if wants != self._wants.get(node, 0):
            self._want(node, wants, now)

    def left(self, node: str, now: float) -> None:
        """Note that a node has gone."""
        self.heard(node, 0, now)

    def lent(self, node: str) -> int | None:
        """Return what a node may send, in bytes/s; None if there is no budget."""
        if self._budget is None:
            return None
        return self._shares.get(node, max(1, self._budget // self._nodes))

    def settle(self, now: float) -> list[str]:
        """Work out the shares anew, if it is time; return those whose share is another one now."""
        while self._heard_at and (node := next(iter(self._heard_at))) is not None:
            if now < self._heard_at[node] + SILENT_S:
                break
            self.left(node, now)
        if now < self._settle_at:
            return []
        self._settle_at = math.inf
        before = self._shares
        self._shares = {} if self._budget is None else shares(self._budget, self._wants)
        return [
            node for node, share in self._shares.items() if not _is_same(before.get(node), share)
        ]

    def _want(self, node: str, wants: int, now: float) -> None:
        if wants:
            self._wants[node] = wants
        else:
            del self._wants[node]
        pause_s = SETTLE_S + SETTLE_NODE_S * len(self._wants)
        self._settle_at = min(self._settle_at, now + pause_s)


def _is_same(before: int | None, share: int) -> bool:
    return before is not None and abs(share - before) <= SAME * before

"""Which nodes renewed in time. Knows nothing of what they hold."""

from collections import OrderedDict


class Leases:
    """The leases that run. All last equally long, so they end in the order they were renewed in."""

    def __init__(self, lease_s: float) -> None:
        self._lease_s = lease_s
        self._ends: OrderedDict[str, float] = OrderedDict()

    def is_alive(self, node: str) -> bool:
        """Say whether the lease of `node` runs, as of the last `expire`."""
        return node in self._ends

    @property
    def deadline(self) -> float | None:
        """When the next lease ends, unless it is renewed."""
        return next(iter(self._ends.values()), None)

    def renew(self, node: str, now: float) -> None:
        self._ends[node] = now + self._lease_s
        self._ends.move_to_end(node)

    def end(self, node: str) -> None:
        self._ends.pop(node, None)

    def expire(self, now: float) -> list[str]:
        """End the leases that are over, and return whose they were."""
        ended = []
        while self._ends and next(iter(self._ends.values())) <= now:
            node, _ = self._ends.popitem(last=False)
            ended.append(node)
        return ended

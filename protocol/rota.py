"""Whose turn it is: of all parties, the one that has cost least so far, at every level.

The caller chooses the levels, such as hosts, each host's nodes, and each node's connections: then a
host gets no more by opening many connections. When too much waits, whoever has most of it goes.

This is start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996), whose cost is known afterwards:
whoever asks for little is served as if nobody else were asking for much.
"""

import collections
import heapq
import itertools
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

P = TypeVar("P", bound=tuple[Hashable, ...])
T = TypeVar("T")

IDLE_KEPT = 64  # Parties with nothing waiting that are remembered, beside as many as are waiting.


class Rota(Generic[P, T]):
    """Things that wait, each at a place: under some keys, as many for all, one for each level."""

    def __init__(self) -> None:
        self.size = 0  # Of all that waits, as `put` was told (at least 1 each).
        self._hosts = _Level()
        self._count = 0
        self._sizes: dict[Hashable, collections.Counter[P]] = {}  # By the first key.

    def __len__(self) -> int:
        """Return how many things wait."""
        return self._count

    def put(self, place: P, thing: T, size: int) -> int:
        """Have `thing` wait behind what waits there already; return how many wait there now."""
        count = self._hosts.put(place, (place, thing, size))
        self._count += 1
        self.size += size
        self._sizes.setdefault(place[0], collections.Counter())[place] += size
        return count

    def take(self) -> tuple[P, T]:
        """Remove the next thing, and return its place too, for `charge`."""
        place: P
        thing: T
        place, thing, size = self._hosts.take()
        self._count -= 1
        self._shrink(place, size)
        return place, thing

    def charge(self, place: P, cost: float) -> None:
        """Note what the thing that was taken from there has cost, in any unit, at least 0."""
        self._hosts.charge(place, cost)

    def drop(self, place: P) -> None:
        """Remove all that waits there."""
        sizes = self._sizes.get(place[0])
        if sizes is not None and place in sizes:
            self._count -= self._hosts.drop(place)
            self._shrink(place, sizes[place])

    def largest(self) -> P:
        """Return where most waits, among those of the first key under which most waits."""
        first = max(self._sizes.values(), key=lambda sizes: sizes.total())
        return max(first, key=first.__getitem__)

    def _shrink(self, place: P, size: int) -> None:
        sizes = self._sizes[place[0]]
        self.size -= size
        sizes[place] -= size
        if not sizes[place]:
            del sizes[place]
        if not sizes:
            del self._sizes[place[0]]


class _Level:
    """Some parties, and what each has cost; below each a level of its own, or its queue."""

    def __init__(self) -> None:
        self._below: dict[Hashable, Any] = {}  # Of those that have something waiting, …
        self._next: list[tuple[float, int, Hashable]] = []  # … by cost and ticket; a heap.
        self._tickets: dict[Hashable, int] = {}  # Which one is valid.
        self._costs: dict[Hashable, float] = {}
        self._least = 0.0  # What the last one whose turn it was had cost: who is new starts here.
        self._tickets_given = itertools.count()

    def __len__(self) -> int:
        return len(self._below)

    def put(self, place: Sequence[Hashable], entry: Any) -> int:
        key, *keys = place
        below: Any = self._below.get(key)
        if below is None:
            below = self._below[key] = _Level() if keys else collections.deque()
            self._costs[key] = max(self._costs.get(key, 0.0), self._least)
            self._line_up(key)
        if keys:
            return int(below.put(keys, entry))
        below.append(entry)
        return len(below)

    def take(self) -> Any:
        while True:
            cost, ticket, key = heapq.heappop(self._next)
            if self._tickets.get(key) != ticket:
                continue  # It was dropped.
            if cost == self._costs[key]:
                break
            self._line_up(key)
        self._least = cost
        below = self._below[key]
        entry = below.take() if isinstance(below, _Level) else below.popleft()
        if below:
            self._line_up(key)
        else:
            del self._below[key], self._tickets[key]
        return entry

    def charge(self, place: Sequence[Hashable], cost: float) -> None:
        key, *keys = place
        if key in self._costs:
            self._costs[key] += cost
            self._forget_idle()
        below = self._below.get(key)
        if keys and below is not None:
            below.charge(keys, cost)

    def drop(self, place: Sequence[Hashable]) -> int:
        """Remove what waits at a place where something does; return how many things that were."""
        key, *keys = place
        below = self._below[key]
        dropped = int(below.drop(keys)) if keys else len(below)
        if not keys or not below:
            del self._below[key], self._tickets[key]
        return dropped

    def _line_up(self, key: Hashable) -> None:
        ticket = self._tickets[key] = next(self._tickets_given)
        heapq.heappush(self._next, (self._costs[key], ticket, key))

    def _forget_idle(self) -> None:
        """Forget those that wait for nothing and have cost no more than the next one."""
        if len(self._costs) > 2 * len(self._below) + IDLE_KEPT:
            self._costs = {
                key: cost
                for key, cost in self._costs.items()
                if key in self._below or cost > self._least
            }

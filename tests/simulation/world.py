"""Virtual time: what happens next, and when. Knows nothing of networks."""

import heapq
from collections.abc import Callable
from typing import Any

MOST_ORDERS = 40  # Bits: so many things an actor may have ordered.


class World:
    """A queue of things to do; `now` jumps from one to the next, in seconds.

    Things of one time are done in the order of who ordered them, and of the orders of each: so it
    does not matter with whom an actor shares a world.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    @property
    def next_at(self) -> float:
        """When the next thing happens; never, if there is none."""
        return self._queue[0][0] if self._queue else float("inf")

    def put(self, time: float, order: int, act: Callable[..., None], *args: Any) -> None:
        """Have `act` called with `args` at `time`, which has not passed."""
        heapq.heappush(self._queue, (time, order, act, args))

    def run(self, end: float) -> None:
        """Let time pass up to `end`: what happens then is still to come."""
        queue, pop = self._queue, heapq.heappop
        while queue and queue[0][0] < end:
            self.now, _, act, args = pop(queue)
            act(*args)


class Actor:
    """One that does things in a world, and hears from others only what is sent to it."""

    def __init__(self, number: int, world: World) -> None:
        """`number` is this actor's alone."""
        self.number = number
        self.world = world
        self._order = number << MOST_ORDERS

    def at(self, time: float, act: Callable[..., None], *args: Any) -> None:
        """Have `act` called with `args` at `time`, or now if that has passed."""
        self.world.put(max(time, self.world.now), self.next_order(), act, *args)

    def next_order(self) -> int:
        self._order += 1
        return self._order

"""Virtual time: what happens next, and when. Knows nothing about networks."""

import heapq
import math
from collections.abc import Callable
from typing import Any

MOST_ORDERS = 40  # Bits: so many things an actor may have ordered.
SPAN_S = 0.0002  # Some hundred things of 1,000 hosts.

Entry = tuple[float, int, Callable[..., None], tuple[Any, ...]]


class World:
    """A queue of things to do; `now` jumps from one to the next, in seconds.

    Things of one time are done in the order of who ordered them, and of the orders of each: so it
    does not matter with whom an actor shares a world. What is to come is put in order only when its
    span of time comes: a heap of all of it would not fit into the processor's caches.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._near: list[Entry] = []  # A heap: all that happens up to the end of span …
        self._span = -1
        self._far: dict[int, list[Entry]] = {}  # By the spans after that, whose …
        self._spans: list[int] = []  # … numbers are a heap too.

    @property
    def next_at(self) -> float:
        """When the next thing happens; never, if there is none."""
        if not self._near and self._spans:
            self._go_on()
        return self._near[0][0] if self._near else math.inf

    def put(self, time: float, order: int, act: Callable[..., None], *args: Any) -> None:
        """Have `act` called with `args` at `time`, which has not passed."""
        span = int(time / SPAN_S)
        if span <= self._span:
            heapq.heappush(self._near, (time, order, act, args))
        elif span in self._far:
            self._far[span].append((time, order, act, args))
        else:
            self._far[span] = [(time, order, act, args)]
            heapq.heappush(self._spans, span)

    def run(self, end: float) -> None:
        """Let time pass up to `end`: what happens then is still to come."""
        pop = heapq.heappop
        while self.next_at < end:
            near = self._near
            while near and near[0][0] < end:
                self.now, _, act, args = pop(near)
                act(*args)

    def _go_on(self) -> None:
        self._span = heapq.heappop(self._spans)
        self._near = self._far.pop(self._span)
        heapq.heapify(self._near)


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

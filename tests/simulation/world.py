"""Virtual time: what happens next, and when. Knows nothing of networks."""

import heapq
from collections.abc import Callable

AT_ONCE = 200  # So many things happen between two looks at whether all is over.


class World:
    """A queue of things to do; `now` jumps from one to the next, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Have `act` called at `time`; those of one time in the order of these calls."""
        self._count += 1
        heapq.heappush(self._queue, (max(time, self.now), self._count, act))

    def run(self, limit_s: float, is_over: Callable[[], bool]) -> None:
        """Let time pass until `is_over`, nothing is left to do, or `limit_s` is reached."""
        queue = self._queue
        while queue and not is_over():
            for _ in range(min(len(queue), AT_ONCE)):
                time, _, act = heapq.heappop(queue)
                if time > limit_s:
                    return
                self.now = time
                act()

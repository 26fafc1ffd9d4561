"""Virtual time: what happens when. All chance comes from one seed."""

import heapq
import math
from collections.abc import Callable
from random import Random


class World:
    """Acts that are to come, in order."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.now = 1000.0
        self.lines: list[str] = []
        self._acts: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def tell(self, line: str) -> None:
        self.lines.append(f"{self.now - 1000:8.3f} {line}")

    def clock(self) -> float:
        return self.now

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._acts, (self.now + delay_s, self._count, act))

    def run(self, until: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until then, or until something is so. May be called by an act."""
        while not is_over():
            at = self._acts[0][0] if self._acts else math.inf
            if at > until:
                self.now = max(self.now, until)
                return
            at, _, act = heapq.heappop(self._acts)
            self.now = max(self.now, at)
            act()

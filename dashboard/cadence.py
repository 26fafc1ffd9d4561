"""How often to ask for something: rarely if it takes long. Reads the clock, and asks nobody."""

import contextlib
import time
from collections.abc import Iterator

AWAY_S = 1.0  # After the last try failed, which itself takes three seconds.


class Cadence:
    """When to ask for one kind of thing again.

    The answer takes the tracker's time and then ours, one after the other. So whatever the size of
    the cluster, asking takes no more than a share of one processor core.
    """

    def __init__(self, least_s: float, share: float) -> None:
        self.due = 0.0
        self._least_s = least_s
        self._share = share

    def is_due(self, now: float) -> bool:
        return now >= self.due

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Take the time of one question."""
        began = time.monotonic()
        yield
        self.answered(began, time.monotonic())

    def answered(self, began: float, now: float) -> None:
        """Note how long an answer took; `due` is when to ask again."""
        self.due = max(began + self._least_s, now + (now - began) / self._share)

    def failed(self, now: float) -> None:
        self.due = now + AWAY_S

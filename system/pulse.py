"""Whether a loop turns. Stops none."""

import math


class Pulse:
    """A loop's sign of life: since when it has been working without a rest."""

    __slots__ = ("since",)

    def __init__(self) -> None:
        self.since = math.inf  # When its turn began, monotonic in seconds; inf while it waits.

    def rest(self) -> None:
        """Note that the loop waits for something to do, for however long that takes."""
        self.since = math.inf

    def working_s(self, now: float) -> float:
        """Return for how long the turn has taken that is under way; 0 if none is."""
        return max(0.0, now - self.since)

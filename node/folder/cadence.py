"""When a thing that keeps changing is hashed and published again. Looks at nothing.

A log file, or the disk of a running machine, would be a new version every second. So the intervals
grow while it keeps changing, and are short again after it has been quiet for some of them.
"""

import dataclasses
import itertools
import math

FIRST_S = 1.0
MOST_S = 600.0
QUIET = 8  # Intervals without a change, after which the next one is as good as the first.


@dataclasses.dataclass(frozen=True)
class _Pace:
    hashed_at: float
    interval_s: float


class Cadence:
    """The things that were hashed recently, and when each may be hashed again."""

    def __init__(self) -> None:
        self._paces: dict[str, _Pace] = {}

    def due(self, name: str) -> float:
        """Return when `name` may be hashed again, in seconds of the clock that `hashed` is told."""
        pace = self._paces.get(name)
        return -math.inf if pace is None else pace.hashed_at + pace.interval_s

    def hashed(self, name: str, now: float, took_s: float) -> None:
        """Note that `name` was hashed until `now`, as it was new or had changed."""
        pace = self._paces.pop(name, None)
        interval_s = FIRST_S
        if pace is not None and now - pace.hashed_at < QUIET * pace.interval_s:
            interval_s = min(2 * pace.interval_s, MOST_S)
        self._paces[name] = _Pace(now, max(interval_s, took_s))
        self._forget_the_quiet(now)

    def gone(self, name: str) -> None:
        self._paces.pop(name, None)

    def _forget_the_quiet(self, now: float) -> None:
        """Forget those that were hashed long ago: they are kept in the order of hashing."""
        for name, pace in list(itertools.islice(self._paces.items(), 2)):
            if now - pace.hashed_at >= QUIET * pace.interval_s:
                del self._paces[name]

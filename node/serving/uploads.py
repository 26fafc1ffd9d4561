"""Which uploads are worth a log line. Writes none."""

import collections
import math

ALWAYS = 2  # So many lines for each asker of a thing, unless there are …
MANY_ASKERS = 16  # … more askers than this.
EARLY = 8  # So many before there is but one each `every_s`.
BURST, BURST_S = 24, 6.0  # Lines of all askers: one takes 0.1 ms, and 32 hosts would have 256.
MAX_CONVERSATIONS = 1024


class Uploads:
    """Lets the first chunks for each asker be logged, then one each `every_s` seconds; all if 0.

    In all it lets pass only a few lines a second, apart from the very first of a few askers.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._said: collections.OrderedDict[tuple[str, str], tuple[int, float]] = (
            collections.OrderedDict()
        )
        self._recent: collections.deque[float] = collections.deque([-math.inf] * BURST, BURST)

    def is_news(self, name: str, node: str, now: float) -> bool:
        """Say whether to log that a chunk of `name` is sent to `node`; if so, it counts as done."""
        if not self._every_s:
            return True
        said, last = self._said.get((name, node), (0, -math.inf))
        is_quiet = said >= EARLY and now - last < self._every_s
        is_new = said < ALWAYS and len(self._said) <= MANY_ASKERS
        if is_quiet or (not is_new and now - self._recent[0] < BURST_S):
            return False
        self._recent.append(now)
        self._said[name, node] = said + 1, now
        if len(self._said) > MAX_CONVERSATIONS:
            self._said.popitem(last=False)
        return True

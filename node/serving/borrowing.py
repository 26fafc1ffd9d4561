"""What a node wants of the rate that the tracker lends, and what it has been lent. Sends nothing.

Who sends as much as it may wants more; who sends less wants little more than that. So the tracker
need not know why somebody is slow.
"""

import math

from shoal.protocol.rates import lesser

LOOK_S = 0.25  # How often to see how much was sent …
IDLE_S = 0.75  # … and after how long without anything a node no longer counts as serving.
BUSY_SHARE = 0.75  # Of what it may send: more, and it is the limit that holds it back, …
SURE_S = 1.0  # … or was so long ago, or it has been raised since.
GROWTH = 1.5  # What it may become quicker, besides, before the tracker hears of it.
MORE, LESS = 1.3, 0.6  # By which it changes what it wants, before it says so.
LEAST = 100_000  # In bytes/s: a node that sends anything wants so much.
MOST = 10**12  # As much as there is.
HELD_S = 8.0  # What was lent counts for so long. The tracker lends it to others after 10 s.


class Borrowing:
    """One node's. `now` is monotonic, in seconds; rates are in bytes/s."""

    def __init__(self, usual: int | None = None) -> None:
        """`usual` is what it may send while the tracker lends it nothing; None: anything."""
        self.usual = usual
        self._loan: tuple[int | None, float] = None, 0.0  # What was lent, and when.
        self._looked_at: float | None = None
        self._sent_bytes = 0
        self._sent_at = self._held_at = -math.inf  # When it sent, and when the limit held it back.
        self._limit: int | None = None
        self.wants = 0  # What to tell the tracker; 0: nothing.

    def set_usual(self, usual: int | None) -> bool:
        """Go by another `usual`; return whether what was lent is too old for it.

        A stricter one holds at once, until the tracker speaks again: it may lend less as well.
        """
        before, self.usual = self.usual, usual
        is_stricter = usual is not None and (before is None or usual < before)
        if is_stricter:
            self._loan = self._loan[0], -math.inf
        return is_stricter

    def limit(self, now: float) -> int | None:
        """Return what may be sent now, by what was lent."""
        lent, lent_at = self._loan
        if lent is None:
            return self.usual
        return lent if now < lent_at + HELD_S else lesser(self.usual, lent)

    def lent(self, rate: int | None, now: float) -> None:
        """Take in what the tracker lends; None: it has no budget to lend of."""
        self._loan = rate, now

    def look(self, sent_bytes: int, limit: int | None, now: float, *, is_busy: bool) -> bool:
        """See how much has been sent, in all; return whether the tracker is to hear of it now.

        `limit` is what may be sent by all limits, and `is_busy` whether somebody waits for it.
        """
        if self._looked_at is None:
            self._looked_at, self._sent_bytes = now, sent_bytes
            return False
        spent_s = now - self._looked_at
        if spent_s < LOOK_S:
            return False
        rate = (sent_bytes - self._sent_bytes) / spent_s
        self._looked_at, self._sent_bytes = now, sent_bytes
        if rate or is_busy:
            self._sent_at = now
        wants = self._wanted(rate, limit, now)
        before, is_other = self.wants, self._is_other(wants)
        if is_other:
            self.wants = wants
        return is_other and self.wants != before

    def _wanted(self, rate: float, limit: int | None, now: float) -> int:
        if now >= self._sent_at + IDLE_S:
            return 0
        before, self._limit = self._limit, limit
        is_raised = limit is None or (before is not None and limit > before)
        if is_raised or rate >= BUSY_SHARE * (limit or 0) or not self.wants:
            self._held_at = now
        return MOST if now < self._held_at + SURE_S else max(LEAST, int(GROWTH * rate))

    def _is_other(self, wants: int) -> bool:
        if not wants or not self.wants:
            return wants != self.wants
        return not LESS * self.wants <= wants <= MORE * self.wants

"""How many replies may be on their way at a time. Sends nothing; it is told what was sent and left.

On a slow link few at a time: a chunk that has the link to itself arrives early, and its receiver
can pass it on, while many at once would all arrive at the end. But an asker that reads slowly holds
up nobody else: what is on its way to it does not count for the others, and it gets its next reply
when the last one has left.
"""

import collections
import math
from typing import TYPE_CHECKING

from shoal.protocol.bucket import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shoal.node.serving.steps import Source

SLOW_BYTES_PER_S = 50e6  # A link below this is paced: so many replies at a time, …
SLOW_REPLIES = 2  # … one to send, and one to be ready when it has left. But receivers are often
STEP_BYTES = 64 << 10  # busy with others, so for each so many bytes of a chunk one more, …
MOST_SLOW_REPLIES = 6  # … up to this. Many short ones at once lose packets (docs/build/swarm.md).
QUICK_REPLIES = 8  # Otherwise this only bounds memory: a chunk leaves in a few milliseconds.
STUCK_LATENCIES = 4.0  # A reply that takes so many times longer than usual waits for its receiver.
STUCK_LEAST_S = 0.05
STUCK_MOST_S = 0.25  # To one of whom nothing is known yet.
SLOW_S = 0.2  # An asker is slow whose replies take longer than this, …
SLOW_TIMES = 20.0  # … and for a byte so many times as long as the quickest asker's, …
FORGOTTEN_S = 10.0  # … which counts less and less, in about this time.
MAX_UNSENT_BYTES = 64 << 20  # For all receivers together, whatever they do.
COUNTED_BYTES = 64 << 10  # A shorter reply is copied into the socket, and counts as having left.
MOST_IDLE_ASKERS = 256  # That are remembered.


class _Asker:
    """What is on its way to one asker, and how quickly replies to it have left."""

    __slots__ = ("is_known", "left_at", "s_per_byte", "took_s", "unsent")

    def __init__(self) -> None:
        self.unsent: dict[int, float] = {}  # By number, when it was queued; oldest first.
        self.is_known = False  # Whether a reply has ever left.
        self.left_at = 0.0  # The last one, …
        self.took_s = 0.0  # … how long one takes after another, recently, …
        self.s_per_byte = 0.0  # … and how long for a byte.

    def learn(self, queued_at: float, size_bytes: int, now: float) -> None:
        weight = 1 / 4 if self.is_known else 1
        took_s = now - max(queued_at, self.left_at)
        self.left_at = now
        self.took_s += (took_s - self.took_s) * weight
        self.s_per_byte += (took_s / max(size_bytes, 1) - self.s_per_byte) * weight
        self.is_known = True


class Pacing:
    """The replies that have not left yet, each by its number."""

    def __init__(self, budget: "Bucket | None" = None) -> None:
        """`budget` is what may be sent in which time; None: anything."""
        self._budget = budget or Bucket()
        self._unsent: dict[int, tuple[Source, int, float]] = {}  # Oldest first.
        self._unsent_bytes = 0
        self._askers: collections.OrderedDict[Source, _Asker] = collections.OrderedDict()
        self._best_s_per_byte = math.inf  # To the quickest asker …
        self._best_at = 0.0  # … as it was then.
        self._usual_s = 0.0  # How long a reply takes to leave, …
        self._s_per_byte = 0.0  # … and how long the link takes for a byte, both recently.
        self._slow_limit = SLOW_REPLIES
        self._left_at = 0.0

    @property
    def unsent(self) -> list[int]:
        """The replies that have not left, oldest first."""
        return list(self._unsent)

    @property
    def is_overfull(self) -> bool:
        """Say whether so much has not left that somebody must go."""
        return self._unsent_bytes > MAX_UNSENT_BYTES

    @property
    def stalest(self) -> "Source":
        """The one whom a reply has been on its way to for longest."""
        asker, _, _ = next(iter(self._unsent.values()))
        return asker

    def active(self, now: float) -> "tuple[list[Source], int]":
        """Return those that something is on its way to, and how many of them are not slow."""
        active = list(dict.fromkeys(asker for asker, _, _ in self._unsent.values()))
        return active, sum(not self._is_slow(self._askers[each], now) for each in active)

    def is_known(self, asker: "Source") -> bool:
        """Say whether a reply to it has ever left."""
        found = self._askers.get(asker)
        return found is not None and found.is_known

    def may_have(self, asker: "Source", now: float) -> bool:
        """Say whether it reads what it gets, so that it may get another reply.

        If not, it may when `left` tells that a reply to it has left.
        """
        found = self._askers.get(asker)
        if found is None or not found.unsent:
            return True
        oldest_at = next(iter(found.unsent.values()))
        return not self._is_slow(found, now) and now < oldest_at + self._stuck_s

    def queued(self, number: int, asker: "Source", size_bytes: int, now: float) -> None:
        """Note that a reply of `size_bytes` was given to the socket."""
        self._unsent[number] = asker, size_bytes, now
        self._unsent_bytes += size_bytes
        found = self._askers.setdefault(asker, _Asker())
        found.unsent[number] = now
        self._askers.move_to_end(asker)
        for_size = SLOW_REPLIES + size_bytes // STEP_BYTES - 1
        self._slow_limit = min(max(for_size, SLOW_REPLIES), MOST_SLOW_REPLIES)

    def left(self, number: int, now: float) -> "Source":
        """Note that a reply has left; return whose it was."""
        asker, size_bytes, queued_at = self._unsent.pop(number)
        self._unsent_bytes -= size_bytes
        found = self._askers[asker]
        del found.unsent[number]
        found.learn(queued_at, size_bytes, now)
        self._best_s_per_byte = min(found.s_per_byte, self._best(now))
        self._best_at = now
        if not self._is_slow(found, now):
            self._usual_s += (now - queued_at - self._usual_s) / 8
            busy_s = now - max(queued_at, self._left_at)
            self._s_per_byte += (busy_s / max(size_bytes, 1) - self._s_per_byte) / 8
        self._left_at = now
        self._forget_idle()
        return asker

    def has_room_at(self, now: float, reserved: int, *, for_known: bool) -> float:
        """When the next reply may be made if none leaves before: now, if that has passed.

        That is when all but as many as may be on their way at a time have been so for too long,
        besides as many as are `reserved` for replies that are being made. Those to slow askers do
        not count; nor, for one who asks for the first time, those to any that are known: nobody
        knows yet whether it is as slow as they are.
        """
        return max(
            self._budget.ready_at(now), self._has_place_at(now, reserved, for_known=for_known)
        )

    def _has_place_at(self, now: float, reserved: int, *, for_known: bool) -> float:
        is_slow = self._s_per_byte * SLOW_BYTES_PER_S > 1
        limit = (self._slow_limit if is_slow else QUICK_REPLIES) - reserved
        if limit <= 0:
            return math.inf
        if len(self._unsent) < limit:
            return -math.inf
        counted = [
            queued_at
            for asker, queued_at in self._unsent_to()
            if not asker.is_known or (for_known and not self._is_slow(asker, now))
        ]
        if len(counted) < limit:
            return -math.inf
        stuck_s = self._stuck_s
        return counted[-limit] + (stuck_s if for_known else min(stuck_s, STUCK_MOST_S))

    @property
    def _stuck_s(self) -> float:
        return max(STUCK_LATENCIES * self._usual_s, STUCK_LEAST_S)

    def _unsent_to(self) -> "Iterator[tuple[_Asker, float]]":
        for source, _, queued_at in self._unsent.values():
            yield self._askers[source], queued_at

    def _is_slow(self, asker: _Asker, now: float) -> bool:
        return asker.took_s > SLOW_S and asker.s_per_byte > SLOW_TIMES * self._best(now)

    def _best(self, now: float) -> float:
        """Return how long the quickest asker takes for a byte, the longer ago the less surely."""
        ages = min((now - self._best_at) / FORGOTTEN_S, 100.0)
        return self._best_s_per_byte * math.exp(ages)

    def _forget_idle(self) -> None:
        if len(self._askers) <= MOST_IDLE_ASKERS + len(self._unsent):
            return
        idle = (source for source, asker in self._askers.items() if not asker.unsent)
        del self._askers[next(idle)]

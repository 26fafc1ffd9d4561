"""How many replies may be on their way at a time. Sends nothing; it is told what was sent and left.

On a slow link few at a time: a chunk that has the link to itself arrives early, and its receiver
can pass it on, while many at once would all arrive at the end. A reply that takes far longer than
usual is waiting for a slow receiver, not for our link, and holds nobody up.
"""

import collections
import itertools
import math

SLOW_BYTES_PER_S = 50e6  # A link below this is paced: so many replies at a time, …
SLOW_REPLIES = 2  # … one to send, and one to be ready when it has left. But receivers are often
STEP_BYTES = 64 << 10  # busy with others, so for each so many bytes of a chunk one more, …
MOST_SLOW_REPLIES = 6  # … up to this. Many short ones at once lose packets (docs/build/swarm.md).
QUICK_REPLIES = 8  # Otherwise this only bounds memory: a chunk leaves in a few milliseconds.
STUCK_LATENCIES = 4.0
STUCK_LEAST_S = 0.05
MAX_UNSENT_BYTES = 64 << 20  # For all receivers together, whatever they do.
COUNTED_BYTES = 64 << 10  # A shorter reply is copied into the socket, and counts as having left.


class Pacing:
    """The replies that have not left yet, each by its number."""

    def __init__(self) -> None:
        self._unsent: collections.OrderedDict[int, tuple[int, float]] = collections.OrderedDict()
        self._unsent_bytes = 0
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
        """Say whether so much has not left that nothing more should be read from disk."""
        return self._unsent_bytes > MAX_UNSENT_BYTES

    def queued(self, number: int, size_bytes: int, now: float) -> None:
        """Note that a reply of `size_bytes` was given to the socket."""
        self._unsent[number] = size_bytes, now
        self._unsent_bytes += size_bytes
        for_size = SLOW_REPLIES + size_bytes // STEP_BYTES - 1
        self._slow_limit = min(max(for_size, SLOW_REPLIES), MOST_SLOW_REPLIES)

    def left(self, number: int, now: float) -> None:
        """Note that a reply has left."""
        size_bytes, queued_at = self._unsent.pop(number)
        self._unsent_bytes -= size_bytes
        self._usual_s += (now - queued_at - self._usual_s) / 8
        busy_s = now - max(queued_at, self._left_at)
        self._s_per_byte += (busy_s / max(size_bytes, 1) - self._s_per_byte) / 8
        self._left_at = now

    @property
    def has_room_at(self) -> float:
        """When the next reply may be made if none leaves before: now, if that has passed.

        That is when all but as many as may be on their way at a time have been so for too long.
        """
        is_slow = self._s_per_byte * SLOW_BYTES_PER_S > 1
        excess = len(self._unsent) - (self._slow_limit if is_slow else QUICK_REPLIES)
        if excess < 0:
            return -math.inf
        _, queued_at = next(itertools.islice(self._unsent.values(), excess, None))
        return queued_at + max(STUCK_LATENCIES * self._usual_s, STUCK_LEAST_S)

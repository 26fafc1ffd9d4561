"""What a download has cost so far. Only counts."""

import collections
import dataclasses
from collections.abc import Callable

from shoal.node.fetching.steps import StagingOpened
from shoal.protocol import bitmap


@dataclasses.dataclass
class Tally:
    """Bytes by where they came from, and how often things went wrong."""

    needed_bytes: int = 0
    reused_bytes: int = 0
    by_holder: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    duplicate_bytes: int = 0
    wrong_chunks: int = 0
    late_replies: int = 0
    lost_holders: int = 0
    retries: int = 0  # Chunks that were asked for once more, of whomever.
    starved_s: float = 0.0  # While nobody was known to have anything that was missing.
    askers_weighed: int = 0  # How many the holders served at a time, times the bytes they sent.

    def begin(self, size_of: Callable[[int], int], room: StagingOpened) -> None:
        """Note what is wanted, and that all that is there and was not fetched cost nothing."""
        self.needed_bytes = sum(map(size_of, bitmap.indices(room.needed)))
        self.reused_bytes = sum(map(size_of, bitmap.indices(room.have))) - self.fetched_bytes

    @property
    def fetched_bytes(self) -> int:
        """Bytes that arrived, were right and were missing."""
        return self.by_holder.total()

    @property
    def askers(self) -> float:
        """How many each holder served at a time, on the average of its bytes; 0: not known."""
        return self.askers_weighed / max(1, self.fetched_bytes)

    @property
    def have_bytes(self) -> int:
        """Bytes that are here, from wherever."""
        return self.reused_bytes + self.fetched_bytes

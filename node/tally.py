"""What a download has cost so far. Only counts."""

import collections
import dataclasses


@dataclasses.dataclass
class Tally:
    """Bytes by where they came from, and how often things went wrong."""

    reused_bytes: int = 0
    by_holder: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    duplicate_bytes: int = 0
    wrong_chunks: int = 0
    late_replies: int = 0
    lost_holders: int = 0

    @property
    def fetched_bytes(self) -> int:
        """Bytes that arrived, were right and were missing."""
        return self.by_holder.total()

    @property
    def have_bytes(self) -> int:
        """Bytes that are here, from wherever."""
        return self.reused_bytes + self.fetched_bytes

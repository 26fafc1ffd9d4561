"""Which things can be read without waiting for a disk, as far as one can tell. Reads nothing."""

import collections
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shoal.protocol.manifest import ContentId

WARM_S = 1.0  # So long after a quick read the next one will be quick too.
QUICK_S = 0.002  # A read that takes longer has waited, …
QUICK_BYTES_PER_S = 1e9  # … or is of so many bytes.
MOST_THINGS = 64


class Warmth:
    """The things that were read quickly a moment ago."""

    def __init__(self) -> None:
        self._until: collections.OrderedDict[ContentId, float] = collections.OrderedDict()

    def is_warm(self, content_id: "ContentId", now: float) -> bool:
        """Say whether the next read of a thing is likely to be quick."""
        return now < self._until.get(content_id, now)

    def note(self, content_id: "ContentId", size_bytes: int, took_s: float, now: float) -> None:
        """Note how long a read of so many bytes took, which ended at `now`."""
        until = self._until.get(content_id, now)
        if took_s > QUICK_S + size_bytes / QUICK_BYTES_PER_S:
            self._until.pop(content_id, None)
            return
        if until > now + WARM_S / 2:
            return  # It need not be noted each time.
        self._until[content_id] = now + WARM_S
        self._until.move_to_end(content_id)
        if len(self._until) > MOST_THINGS:
            self._until.popitem(last=False)

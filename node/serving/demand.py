"""What of each thing leaves next: each chunk once before any twice, and manifests not all at once.

Sends nothing.
"""

import collections
import math
from typing import TYPE_CHECKING

from shoal.protocol import bitmap

if TYPE_CHECKING:
    from shoal.protocol.manifest import ContentId
    from shoal.protocol.messages import ChunkRequest

MAX_WATCHED_IDS = 64  # Things whose requests are remembered: 4 KiB each, at most.
RECENT_REQUESTS = 32  # Two askers among the last so many requests make a swarm.
SWARM = 2
MOST_REFUSALS = 3  # In a row, of one asker: it cannot use what it is offered instead.
MANIFEST_BYTES = 512 << 10  # Manifests of one thing that leave at once, …
LEAST_MANIFESTS = 8  # … or so many, if they are long; …
MANIFEST_BYTES_PER_S = 1 << 20  # … after that so much, so that chunks get the rest of the link.


class Demand:
    """Who asks for one thing, and what of it has left.

    A whole holder with several askers gives each chunk away once before it gives any twice
    (super-seeding, BEP 16): it says that it has what has not left yet, and the askers get the rest
    from each other. An asker that has all of that already gets what it asks for. So does one that
    keeps asking for something else: it may want a part of a tree, or need the listing first.
    """

    def __init__(self) -> None:
        self._recent: collections.deque[str] = collections.deque()  # Who asked, …
        self._counts: collections.Counter[str] = collections.Counter()  # … and how often each.
        self._refusals: collections.Counter[str] = collections.Counter()  # In a row, of each.
        self._unserved = 0  # What has not left yet in this round, of a thing that is whole here.
        self._room_bytes = float(MANIFEST_BYTES)  # For manifests, …
        self._room_at = -math.inf  # … at this time.

    @property
    def askers(self) -> int:
        """How many nodes have asked for chunks recently."""
        return len(self._counts)

    def has_room(self, manifest_bytes: int, now: float) -> bool:
        """Say whether a manifest may leave; if so, it counts as sent."""
        most = max(MANIFEST_BYTES, LEAST_MANIFESTS * manifest_bytes)
        grown = MANIFEST_BYTES_PER_S * (now - self._room_at)
        self._room_bytes = min(self._room_bytes + grown, most)
        self._room_at = now
        if self._room_bytes < manifest_bytes:
            return False
        self._room_bytes -= manifest_bytes
        return True

    def asked(self, request: "ChunkRequest", here: int, everything: int) -> int:
        """Note a request for a thing of which `here` is here; return what of it may leave."""
        self._note(request.node)
        if here != everything or not request.have:  # An asker that does not say is no swarm.
            return here
        unserved = self._for_swarm(everything)
        asker_has = bitmap.from_bytes(request.have, everything.bit_length())
        if unserved >> request.index & 1 or not unserved & ~asker_has:
            self._refusals.pop(request.node, None)
            return unserved if unserved & ~asker_has else everything
        self._refusals[request.node] += 1
        return everything if self._refusals[request.node] > MOST_REFUSALS else unserved

    def served(self, index: int) -> None:
        """Note that a chunk leaves."""
        self._unserved &= ~(1 << index)

    def _note(self, node: str) -> None:
        recent, counts = self._recent, self._counts
        recent.append(node)
        counts[node] += 1
        if len(recent) > RECENT_REQUESTS:
            oldest = recent.popleft()
            counts[oldest] -= 1
            if not counts[oldest]:
                del counts[oldest]
                self._refusals.pop(oldest, None)

    def _for_swarm(self, everything: int) -> int:
        """Return what a whole holder gives away: all to one asker, to several what is unserved."""
        if self.askers < SWARM:
            return everything
        if not self._unserved:
            self._unserved = everything
        return self._unserved


class Demands:
    """The demand for each thing, of those that were asked for last."""

    def __init__(self) -> None:
        self._by_id: collections.OrderedDict[str, Demand] = collections.OrderedDict()

    def of(self, content_id: "ContentId") -> Demand:
        """Return the demand for a thing, a new one if it was not asked for lately."""
        demand = self._by_id.get(content_id)
        if demand is None:
            demand = self._by_id[content_id] = Demand()
            if len(self._by_id) > MAX_WATCHED_IDS:
                self._by_id.popitem(last=False)
        else:
            self._by_id.move_to_end(content_id)
        return demand

"""Which requests idle holders may take over at the end. Sends nothing.

The last chunk must not wait for the slowest holder; but what is asked of two may come twice, so
there are only so many.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.outstanding import Request
from shoal.node.scheduling.peer import Peer
from shoal.node.scheduling.settings import FetchSettings
from shoal.protocol import bitmap

LEAST, LAST = 1, 2
LONG = 4  # From so many times as much on that may come twice, the last ones hardly count.
MOST_GUESSES = 16  # Holders that may have it by now; hundreds would cost more than they bring.


class Chance(NamedTuple):
    """What an idle holder may be asked for beside another one, and from when on."""

    peer: Peer
    slow: Request
    chunk: int
    at: float


class Hedges:
    """How many chunks may still be asked of a second holder, and of whom."""

    def __init__(self, chunk_count: int, settings: FetchSettings) -> None:
        self._settings = settings
        self.left = max(LEAST, chunk_count // settings.hedged_share)
        self._is_long = self.left >= LONG * LAST

    def may_be(self, missing: int) -> bool:
        """Say whether there may be another one: for the last chunks of all there always may."""
        return self.left > 0 or missing.bit_count() <= LAST

    def came_back(self, request: Request) -> None:
        """Note that nothing was sent: if that was a second request, it has cost nothing."""
        self.left += request.hedges is not None

    def chances(self, near: Neighbours, out: Iterable[Request], missing: int) -> Iterator[Chance]:
        """Yield one for each idle holder that has some of it, then for the nearest that may have.

        Who owes us an answer is not idle, though he may be asked: he may be a host without power.
        """
        is_last = self._is_long and missing.bit_count() <= LAST
        for peer in [one for one in near.useful if not one.outstanding]:
            known = missing & peer.said_to_have
            yield from self._chance(near, peer, out, known, is_last=is_last)
        for peer in near.in_order[:MOST_GUESSES]:
            if not peer.outstanding and not peer.is_whole:
                guessed = missing & ~(peer.told | peer.wrong)
                yield from self._chance(near, peer, out, guessed, is_last=is_last)

    def _chance(
        self, near: Neighbours, peer: Peer, out: Iterable[Request], wanted: int, *, is_last: bool
    ) -> Iterator[Chance]:
        if wanted:
            for slow in out:
                bits = slow.bits & wanted
                if bits and slow.may_be_hedged:
                    at = self._takes_over_at(peer, slow, bits, is_last=is_last)
                    # Our own link may be what is slow: then nobody could have been quicker.
                    at = max(at, slow.sent_at + near.pace.least_s(slow.ahead_bytes))
                    yield Chance(peer, slow, bitmap.lowest(bits), at)
                    return

    def _takes_over_at(self, peer: Peer, slow: Request, bits: int, *, is_last: bool) -> float:
        """When an idle holder is likely to beat a request that another one has.

        If it may have the chunks in `bits` by now, but is not known to: when its word is old too,
        and later, but for the last of many chunks: all others may have them, as who is complete
        says so to nobody.
        """
        settings, since, latency_s = self._settings, slow.sent_at, peer.latency_s
        wait_s = max(settings.hedge_latencies * (latency_s or 0), settings.hedge_least_s)
        if not peer.told & bits:
            since = max(since, peer.fresh_until)
            if not is_last:
                wait_s = max(2 * wait_s, settings.hedge_guess_s)
        elif latency_s is None:
            return math.inf
        return max(since + wait_s, peer.blocked_until)

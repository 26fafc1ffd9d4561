"""Which requests idle holders may take over at the end. Sends nothing.

The last chunk must not wait for the slowest holder. But a chunk that is requested twice may arrive
twice, so the number of hedges is limited.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shoal.node.scheduling.holders import Neighbours, Peer
from shoal.node.scheduling.requests import Request

HEDGE_LATENCIES = 2.0  # An idle holder takes over a request that takes so many of its latencies, …
HEDGE_LEAST_S = 0.15  # … and at least this: the other one may merely have been unlucky.
HEDGE_GUESS_S = 0.5  # At least, for a holder that is not known to have the chunk.
HEDGED_SHARE = 50  # One in so many chunks may be hedged: less than 2 % is to arrive twice …
LEAST_HEDGES = 1  # … but at least this many, …
LAST_CHUNKS = 2  # … and these always.
LONG_HEDGES = 8  # With so many to spend, the last chunks hardly add to them.
MOST_GUESSES = 16  # Holders that may have a chunk by now: looking at hundreds would not pay.


class Chance(NamedTuple):
    """An idle holder that may be asked for the chunk of a slow request, from a time on."""

    peer: Peer
    slow: Request
    at: float


class Hedges:
    """How many chunks may still be requested from a second holder, and from which."""

    def __init__(self, chunk_count: int) -> None:
        self.left = max(LEAST_HEDGES, chunk_count // HEDGED_SHARE)
        self._is_long = self.left >= LONG_HEDGES

    def may_be(self, missing: int) -> bool:
        """Return whether one more is allowed: for the last chunks always."""
        return self.left > 0 or missing.bit_count() <= LAST_CHUNKS

    def came_back(self, request: Request) -> None:
        """Note that a request brought nothing: if it was a hedge, it cost nothing."""
        self.left += request.hedges is not None

    def chances(self, near: Neighbours, out: Iterable[Request], missing: int) -> Iterator[Chance]:
        """Yield one for each idle holder that has a missing chunk, then for the nearest that might.

        A holder that owes an answer is not idle, even if it has room: it may have lost power.
        """
        is_last = self._is_long and missing.bit_count() <= LAST_CHUNKS
        for peer in [one for one in near.useful if not one.outstanding]:
            yield from _chance(near, peer, out, missing & peer.said_to_have, is_last=is_last)
        for peer in near.in_order[:MOST_GUESSES]:
            if not peer.outstanding and not peer.is_whole:
                guessed = missing & ~(peer.told | peer.wrong)
                yield from _chance(near, peer, out, guessed, is_last=is_last)


def _chance(
    near: Neighbours, peer: Peer, out: Iterable[Request], wanted: int, *, is_last: bool
) -> Iterator[Chance]:
    """Yield the oldest request for one of the `wanted` chunks that `peer` may take over."""
    for slow in out if wanted else ():
        if slow.bits & wanted and slow.may_be_hedged:
            at = _takes_over_at(peer, slow, is_last=is_last)
            # If our own link is what is slow, no other holder could have been quicker.
            yield Chance(peer, slow, max(at, slow.sent_at + near.pace.least_s(slow.ahead_bytes)))
            return


def _takes_over_at(peer: Peer, slow: Request, *, is_last: bool) -> float:
    """Return when an idle holder is likely to be quicker than the one that has a request.

    One that is not known to have the chunk waits until its last word is old too, and for longer,
    except for the last of many chunks: by then all are likely to have it, and a node that becomes
    complete announces that to nobody.
    """
    since, latency_s = slow.sent_at, peer.latency_s
    wait_s = max(HEDGE_LATENCIES * (latency_s or 0), HEDGE_LEAST_S)
    if not peer.told & slow.bits:
        since = max(since, peer.fresh_until)
        if not is_last:
            wait_s = max(2 * wait_s, HEDGE_GUESS_S)
    elif latency_s is None:
        return math.inf
    return max(since + wait_s, peer.blocked_until)

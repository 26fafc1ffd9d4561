"""Which requests idle holders may take over at the end. Sends nothing.

The last chunk must not wait for the slowest holder. But a chunk that is requested twice may arrive
twice, so the number of hedges is limited. Only what is expected of a silent holder may always be
taken over: that one has most likely lost power.
"""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from shoal.node.scheduling.holders import STRANGER, Peer
from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.requests import Request

HEDGE_LATENCIES = 2.0  # An idle holder takes over a request that takes so many of its latencies, …
HEDGE_LEAST_S = 0.15  # … and at least this: the other one may merely have been unlucky.
HEDGE_GUESS_S = 0.5  # At least, for a holder that is not known to have the chunk.
HEDGED_SHARE = 50  # One in so many chunks may be hedged: less than 2 % is to arrive twice …
LEAST_HEDGES = 1  # … but at least this many, …
LAST_CHUNKS = 2  # … and these always.
SILENT_S = 0.5  # A holder is silent when nothing has come from it for this long, …
SILENT_GAPS = 4.0  # … and for four times as long as there usually is between two of its replies.
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
        """Return whether one more is allowed, whoever is slow: for the last chunks always."""
        return self.left > 0 or missing.bit_count() <= LAST_CHUNKS

    def came_back(self, request: Request) -> None:
        """Note that a request brought nothing: if it was a hedge, it cost nothing."""
        self.left += request.hedges is not None

    def chances(self, near: Neighbours, out: Iterable[Request], missing: int) -> Iterator[Chance]:
        """Yield one for each idle holder that has a missing chunk, then for the nearest that might.

        It is the request that it may take over first.
        """
        for peer, wanted in _idle(near, missing):
            slow = [one for one in out if one.bits & wanted and one.may_be_hedged]
            chances = [Chance(peer, one, self._due(near, peer, one, missing)) for one in slow]
            if chances:
                yield min(chances, key=lambda chance: chance.at)

    def awaited(
        self, near: Neighbours, out: Iterable[Request], awaited: int, missing: int
    ) -> Iterator[Chance]:
        """Yield one for each request for an `awaited` chunk that another holder has.

        It is the quickest one, idle or not.
        """
        for slow in [one for one in out if one.bits & awaited and one.may_be_hedged]:
            others = [
                peer
                for peer in near.proven
                if peer.node != slow.node and peer.said_to_have & slow.bits
            ]
            if others:
                peer = min(others, key=expected_s)
                yield Chance(peer, slow, self._due(near, peer, slow, missing))

    def _due(self, near: Neighbours, peer: Peer, slow: Request, missing: int) -> float:
        """Return from when on `peer` may take over a request."""
        is_last = self._is_long and missing.bit_count() <= LAST_CHUNKS
        at = _takes_over_at(peer, slow, is_last=is_last)
        # If our own link is what is slow, no other holder could have been quicker.
        at = max(at, slow.sent_at + near.pace.least_s(slow.ahead_bytes))
        return at if self.may_be(missing) else max(at, _silent_at(near, slow))


def expected_s(peer: Peer) -> tuple[float, str]:
    """Return how long a holder that has sent chunks may take for one more; no two are equal."""
    return (peer.waiting + 1) * (peer.latency_s or 0.0), peer.node


def _idle(near: Neighbours, missing: int) -> Iterator[tuple[Peer, int]]:
    """Yield each idle holder with the missing chunks it has, then the nearest that may have some.

    A holder that owes an answer is not idle, even if it has room: it may have lost power.
    """
    for peer in [one for one in near.useful if not one.outstanding]:
        yield peer, missing & peer.said_to_have
    for peer in near.in_order[:MOST_GUESSES]:
        if not peer.outstanding and not peer.is_whole:
            yield peer, missing & ~(peer.told | peer.wrong)


def _silent_at(near: Neighbours, slow: Request) -> float:
    """Return when the holder of a request counts as silent if nothing comes from it before."""
    holder = near[slow.node]
    latency_s = STRANGER * near.pace.usual_s if holder.latency_s is None else holder.latency_s
    gap_s = latency_s / len(holder.outstanding)
    return max(holder.heard_at, slow.sent_at) + max(SILENT_S, SILENT_GAPS * gap_s)


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

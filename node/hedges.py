"""Which requests idle holders may take over at the end. Sends nothing.

The last chunk must not wait for the slowest holder; but what is asked of two may come twice, so
there are only so many.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from node.neighbours import Neighbours
from node.outstanding import Request
from node.peer import Peer
from node.settings import FetchSettings
from protocol import bitmap

LEAST, LAST = 4, 2
MOST_GUESSES = 16  # Holders that may have it by now; hundreds would cost more than they bring.


class Chance(NamedTuple):
    """What an idle holder may be asked for beside another one, and from when on."""

    peer: Peer
    slow: Request
    chunk: int
    at: float


class Hedges:
    """How many chunks may still be asked of a second holder."""

    def __init__(self, chunk_count: int, settings: FetchSettings) -> None:
        self.left = max(LEAST, chunk_count // settings.hedged_share)

    def may_be(self, missing: int) -> bool:
        """Say whether there may be another one: for the last chunks of all there always may."""
        return self.left > 0 or missing.bit_count() <= LAST

    def came_back(self, request: Request) -> None:
        """Note that nothing was sent: if that was a second request, it has cost nothing."""
        self.left += request.hedges is not None


def chances(near: Neighbours, out: Iterable[Request], missing: int) -> Iterator[Chance]:
    """Yield one for each idle holder that has some of it, then for the nearest that may have.

    Who owes us an answer is not idle, though he may be asked again: he may be a host without power.
    """
    for peer in [one for one in near.useful if not one.outstanding]:
        yield from _chance(peer, out, missing & peer.said_to_have)
    for peer in near.in_order[:MOST_GUESSES]:
        if not peer.outstanding and not peer.is_whole:
            yield from _chance(peer, out, missing & ~peer.told)


def _chance(peer: Peer, out: Iterable[Request], wanted: int) -> Iterator[Chance]:
    if wanted:
        for slow in out:
            bits = slow.bits & wanted
            if bits and slow.may_be_hedged:
                yield Chance(peer, slow, bitmap.lowest(bits), peer.takes_over_at(slow, bits))
                return

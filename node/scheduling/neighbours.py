"""The holders of one thing, the nearest first. Sends nothing.

How far two nodes are from each other is the same for both (protocol.distance). So who
asks his nearest holders first is asked by about as many as he asks, by the same ones, and again and
again: they hear from each other all the time, and no queue is much longer than the others
(docs/build/swarm.md).
"""

import bisect
import itertools
import math
from collections.abc import Iterator

from shoal.node.scheduling.outstanding import Request
from shoal.node.scheduling.pace import Pace
from shoal.node.scheduling.peer import Peer
from shoal.node.scheduling.wanted import Wanted

COMPARED = 4  # Others that a chunk's rarity is taken from: with all of them everybody would want
# the same chunk, and only one has it.


class Neighbours:
    """Peers by name, and in order of distance; of those equally far the first comer comes first.

    `useful` are those that have something that is missing, or had it when that was last looked at.
    """

    def __init__(self) -> None:
        self.partial_count = 0
        self.in_order: list[Peer] = []
        self.useful: list[Peer] = []
        self.pace = Pace()
        self._by_node: dict[str, Peer] = {}

    def __len__(self) -> int:
        return len(self._by_node)

    def __getitem__(self, node: str) -> Peer:
        return self._by_node[node]

    def get(self, node: str) -> Peer | None:
        return self._by_node.get(node)

    def add(self, peer: Peer) -> None:
        self._by_node[peer.node] = peer
        bisect.insort(self.in_order, peer, key=_distance)
        self.partial_count += not peer.is_whole
        if peer.is_whole:
            self._note_useful(peer)

    def drop(self, peer: Peer) -> None:
        del self._by_node[peer.node]
        self.in_order.remove(peer)
        self.partial_count -= not peer.is_whole
        if peer.is_useful:
            self._forget_useful(peer)

    def delivered(self, request: Request, size_bytes: int, now: float) -> bool:
        """Note that a chunk came; say whether it was the first one of all."""
        self._by_node[request.node].delivered(request, size_bytes, now)
        return self.pace.delivered(size_bytes, now - request.sent_at)

    def learn(self, node: str, have: int, now: float, *, is_whole: bool) -> None:
        """Note what `node` says it has."""
        peer = self._by_node[node]
        self.partial_count += peer.is_whole - is_whole
        peer.learn(have, now, is_whole=is_whole)
        self._note_useful(peer)

    def heard(self, node: str, have: int, now: float) -> bool:
        """Note what one who calls itself `node` has of what is missing; say whether it is news."""
        peer = self._by_node.get(node)
        if peer is None or not have:
            return False
        self._note_useful(peer)
        return peer.heard(have, now)

    def silent(self, now: float) -> tuple[list[str], float]:
        """Return those that have been silent for too long, and when the next one will have been."""
        lost_at = [(peer.lost_at(), peer.node) for peer in self.in_order]
        silent = sorted(node for time, node in lost_at if time <= now)
        return silent, min((time for time, _ in lost_at), default=math.inf)

    def _note_useful(self, peer: Peer) -> None:
        if not peer.is_useful:
            peer.is_useful = True
            bisect.insort(self.useful, peer, key=_distance)

    def idle(self, wanted: Wanted) -> Iterator[tuple[Peer, int]]:
        """Yield those that have nothing to do and some of the free chunks, and these chunks.

        Last those that owe us something, as a host without power does for ever.
        """
        useless = []
        free = [peer for peer in self.useful if not peer.outstanding]
        owing = (peer for peer in self.useful if peer.outstanding and not peer.waiting)
        for peer in itertools.chain(free, owing):
            candidates = wanted.free & peer.said_to_have
            if candidates:
                yield peer, candidates
            elif not wanted.missing & peer.told:
                useless.append(peer)
        for peer in useless:
            self._forget_useful(peer)

    def _forget_useful(self, peer: Peer) -> None:
        peer.is_useful = False
        self.useful.remove(peer)

    def rarest(self, candidates: int, holder: Peer, draw: float) -> int:
        """Return those of the candidates (protocol.bitmap) that few others but `holder` have.

        `draw`, from 0 to 1, decides with whom they are compared. There is always one left.
        """
        useful, count = self.useful, len(self.useful)
        first = int(draw * count)
        for place in range(first, first + min(COMPARED, count)):
            other = useful[place % count]
            if other is not holder and not other.is_whole:
                candidates = candidates & ~other.told or candidates
        return candidates


def _distance(peer: Peer) -> int:
    return peer.distance

"""All holders of a fetch, in the order in which they are asked. Chooses no chunk."""

import bisect
import itertools
import math
from collections.abc import Iterator

from shoal.node.scheduling.holders import STRANGERS, Pace, Peer
from shoal.node.scheduling.requests import Request
from shoal.node.scheduling.wanted import Wanted


class Neighbours:
    """All holders, the nearest first.

    Two nodes are equally far from each other (protocol.distance). So a node that asks its nearest
    holders first is asked by about as many as it asks, always the same ones: they hear from each
    other all the time, and no queue is much longer than the others (docs/build/swarm.md).

    `useful` are those that have a missing chunk, or had one when `idle` last looked.
    """

    def __init__(self) -> None:
        self.partial_count = 0
        self.in_order: list[Peer] = []
        self.useful: list[Peer] = []
        self._met_count = 0
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
        self._met_count -= peer.is_met
        if peer.is_useful:
            self._forget_useful(peer)

    def met(self, peer: Peer, round_trip_s: float) -> bool:
        """Note that the connection to a holder is up; return whether it may be asked for more."""
        is_first, peer.is_met = not peer.is_met, True
        self._met_count += is_first
        return peer.met(round_trip_s) or is_first

    @property
    def proven(self) -> list[Peer]:
        """Those that have a missing chunk, and have sent one before."""
        return [peer for peer in self.useful if peer.latency_s is not None]

    @property
    def has_enough_strangers(self) -> bool:
        """Return whether others can be asked, and strangers have been asked that may answer."""
        strangers = [peer for peer in self.useful if peer.is_stranger]
        is_asked = sum(peer.is_expected for peer in strangers)
        return is_asked >= STRANGERS and len(strangers) < len(self.useful)

    def delivered(self, request: Request, size_bytes: int, now: float) -> bool:
        """Note that a chunk arrived; return whether it was the first of all."""
        self._by_node[request.node].is_stranger = False
        self._by_node[request.node].delivered(request, size_bytes, now)
        return self.pace.delivered(size_bytes, now - request.sent_at)

    def learn(self, node: str, have: int, now: float, *, is_whole: bool) -> None:
        """Note what `node` says it has."""
        peer = self._by_node[node]
        peer.is_stranger = False
        self.partial_count += peer.is_whole - is_whole
        peer.learn(have, now, is_whole=is_whole)
        self._note_useful(peer)

    def silent(self, now: float) -> tuple[list[str], float]:
        """Return those that have been silent for too long, and when the next one will be."""
        lost_at = [(peer.lost_at(), peer.node) for peer in self.in_order]
        silent = sorted(node for time, node in lost_at if time <= now)
        return silent, min((time for time, _ in lost_at), default=math.inf)

    def _note_useful(self, peer: Peer) -> None:
        if not peer.is_useful:
            peer.is_useful = True
            bisect.insort(self.useful, peer, key=_distance)

    def idle(self, wanted: Wanted) -> Iterator[tuple[Peer, int]]:
        """Yield each holder without a request and the free chunks it has, if any.

        Those with requests that were written off come last: they may have lost power. Before them
        come strangers. Once a connection is up, those whose is not have to wait.
        """
        useless = []
        free = [
            peer
            for peer in self.useful
            if not peer.outstanding and (peer.is_met or not self._met_count)
        ]
        free.sort(key=_is_stranger)
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


def _is_stranger(peer: Peer) -> bool:
    return peer.is_stranger


def _distance(peer: Peer) -> int:
    return peer.distance

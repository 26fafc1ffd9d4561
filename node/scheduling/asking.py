"""Whom to ask for which chunk now. Knows nothing of sockets, bytes or disks.

A request asks one holder for one chunk, which nobody else is asked for meanwhile. The next one goes
to a holder with room in its window, so fast holders deliver more. A chunk whose request is overdue
may be requested from another holder.
"""

import heapq
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from shoal.node.scheduling.hedges import Hedges
from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.outstanding import Outstanding, Request
from shoal.node.scheduling.peer import Peer
from shoal.node.scheduling.settings import FetchSettings
from shoal.node.scheduling.wanted import Wanted
from shoal.protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random


class Asking:
    """Looks through the holders, and sends what there is room for."""

    def __init__(
        self,
        manifest: Manifest,
        near: Neighbours,
        wanted: Wanted,
        out: Outstanding,
        rng: "Random",
        settings: FetchSettings,
    ) -> None:
        self.hedges = Hedges(manifest.chunk_count, settings)
        self.wakes_at = math.inf  # When a holder may be asked that could not be, without news.
        self.lost_at = math.inf  # Nobody is silent for too long before this.
        self._manifest = manifest
        self._near = near
        self._wanted = wanted
        self._out = out
        self._rng = rng
        self._settings = settings
        self._next_id = rng.getrandbits(32) << 16  # A stranger cannot guess it.
        self.note_holders()

    def note_holders(self) -> None:
        """Note that there are more holders, or fewer."""
        settings = self._settings
        most = min(len(self._near), settings.most_requests)
        self._most_requests = max(settings.requests, most)

    def all(self, now: float) -> list[Request]:
        """Ask any of the holders; what is returned counts as sent."""
        self.wakes_at = math.inf
        requests: list[Request] = []
        for ask in (self._ask_idle, self._guess, self._ask_more, self._hedge):
            if self._is_full:
                break
            requests += ask(now)
        return requests

    def some(self, peers: Iterable[Peer], now: float) -> list[Request]:
        """Ask those of whom there is news and that have room: nothing else has changed."""
        requests: list[Request] = []
        for peer in peers:
            candidates = self._wanted.free & peer.said_to_have
            requests += self._ask(peer, candidates, now)
        return requests

    def has_room_at(self, peer: Peer, now: float) -> bool:
        """Say whether there is room for one more request, and at this peer."""
        return not self._is_full and (not peer.waiting or peer.has_room(now))

    def _ask_idle(self, now: float) -> Iterator[Request]:
        """Ask those that have something and nothing to do: one request each, nearest first."""
        for peer, candidates in self._near.idle(self._wanted):
            yield from self._ask(peer, candidates, now)
            if self._is_full:
                return

    def _guess(self, now: float) -> Iterator[Request]:
        """Ask those that may have something by now, though nothing says so."""
        most = self._settings.guesses
        for peer in self._near.in_order:
            if not self._wanted.free or self._is_full or self._out.guesses >= most:
                return
            if not peer.waiting and not peer.is_whole:
                self._wake_for(peer.wakes_at(), now)
                candidates = self._wanted.free & peer.believed_to_have(now)
                yield from self._ask(peer, candidates, now)

    def _ask_more(self, now: float) -> Iterator[Request]:
        """Ask those that have room in their windows for more, always the least busy."""
        free, useful = self._wanted.free, self._near.useful
        rooms = [one for one in useful if one.has_room(now) and free & one.said_to_have]
        turns = [(peer.turn, peer) for peer in rooms]
        heapq.heapify(turns)
        while turns and not self._is_full:
            _, peer = turns[0]
            candidates = self._wanted.free & peer.said_to_have
            requests = self._ask(peer, candidates, now)
            if requests:
                yield from requests
                heapq.heapreplace(turns, (peer.turn, peer))
            else:
                heapq.heappop(turns)

    def _hedge(self, now: float) -> Iterator[Request]:
        """At the end: have idle holders take over what others are far slower with."""
        if self._wanted.free:
            return
        hedges, missing = self.hedges, self._wanted.missing & self._out.asked_for()
        if not hedges.may_be(missing):
            return
        for peer, slow, index, at in hedges.chances(self._near, self._out, missing):
            if at > now:
                self._wake_for(at, now)
            elif self._has_room_for(size_bytes := self._manifest.chunk_size(index)):
                hedges.left -= 1
                slow.is_hedged = True
                yield self._send(peer, index, size_bytes, now, hedges=slow.request_id)
                if self._is_full or not hedges.may_be(missing):
                    return

    def _ask(self, peer: Peer, candidates: int, now: float) -> list[Request]:
        """Ask `peer` for one of the candidates, if there is room."""
        if not candidates:
            return []
        is_swarm = self._near.partial_count > 0
        if is_swarm and not peer.is_whole:
            candidates = self._near.rarest(candidates, peer, self._rng.random())
        # What lies next to a wrong chunk may have rotted with it.
        index = self._wanted.next_of(candidates, scattered=is_swarm or peer.wrong != 0)
        size_bytes = self._manifest.chunk_size(index)
        if not peer.may_be_asked(size_bytes, now):
            self._wake_for(peer.wakes_at(), now)
            return []
        if not self._has_room_for(size_bytes):
            return []
        return [self._send(peer, index, size_bytes, now)]

    def _wake_for(self, time: float, now: float) -> None:
        if now < time < self.wakes_at:
            self.wakes_at = time

    def _has_room_for(self, size_bytes: int) -> bool:
        out_bytes = self._out.prompt_bytes
        return not out_bytes or size_bytes + out_bytes <= self._settings.total_window_bytes

    def _send(
        self,
        peer: Peer,
        index: int,
        size_bytes: int,
        now: float,
        hedges: int | None = None,
    ) -> Request:
        self._next_id += 1
        patience_s = peer.patience_s(self._near.pace, size_bytes)
        due, written_off_at = now + patience_s, now + peer.write_off_s(patience_s)
        request = Request(self._next_id, peer.node, index, size_bytes, now, due, written_off_at)
        request.hedges, request.is_guess = hedges, not request.bits & peer.said_to_have
        self._out.add(request)
        request.claims = self._wanted.with_twins(request.bits)
        self._wanted.claim(request.claims)
        peer.sent(request)
        self.lost_at = min(self.lost_at, peer.lost_at())
        return request

    @property
    def _is_full(self) -> bool:
        return self._out.prompt >= self._most_requests

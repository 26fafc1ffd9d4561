"""Which chunk to ask of whom next. Knows nothing of sockets, bytes or disks.

A request offers a holder a few chunks, disjoint from what the others are offered; the holder
answers with one of them and the rest are free again. The next offer goes to whoever has room in its
window, so a fast holder delivers more. A chunk whose request is overdue may be asked of somebody
else.
"""

import heapq
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from node.hedges import Hedges
from node.neighbours import Neighbours
from node.outstanding import Outstanding, Request
from node.peer import Peer
from node.settings import FetchSettings
from node.wanted import Wanted
from protocol import bitmap
from protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random

KNOWN_SHARE = 8  # With each holder, an eighth of what would be its share is offered at a time …
GUESSED_SHARE = 2  # … and half of it if it may have nothing of most.


class Scheduler:
    """Looks through the holders when there is room for a request and something has changed."""

    def __init__(
        self, manifest: Manifest, have: int, needed: int, rng: "Random", settings: FetchSettings
    ) -> None:
        """Ask for those chunks of `manifest` that are `needed` and not in `have`."""
        self._manifest = manifest
        self._settings = settings
        self._rng = rng
        self.wanted = Wanted(manifest.chunk_count, have, needed, rng)
        self.out = Outstanding()
        self._near = Neighbours()
        self._note_peers()
        self._wakes_at = math.inf  # When a holder may be asked that could not be, without news.
        self._lost_at = math.inf  # Nobody is silent for too long before this.
        self._hedges = Hedges(manifest.chunk_count, settings)
        self._next_id = rng.getrandbits(32) << 16  # A stranger cannot guess it.

    def add(
        self, node: str, now: float, *, complete: bool, give_up_s: float | None = None, far: int = 0
    ) -> None:
        """Take `node` in as a holder, so `far` from us; does nothing when it is one already."""
        if self._near.get(node) is None:
            have = bitmap.full(self._manifest.chunk_count) if complete else None
            self._near.add(Peer(node, have, now, self._settings, give_up_s, far))
            self._note_peers()

    def drop(self, node: str, now: float) -> None:
        """Forget `node`; what it was asked for is free for the others."""
        peer = self._near.get(node)
        if peer is not None:
            for request_id in list(peer.outstanding):
                self.close(node, request_id, now)
            self._near.drop(peer)
            self._note_peers()

    def offered(self, node: str, request_id: int) -> tuple[int, ...] | None:
        """Return what the request offered, or None if `node` has no such request out."""
        request = self.out.get(request_id)
        return request.offered if request is not None and request.node == node else None

    def received(self, node: str, request_id: int, index: int, now: float) -> bool:
        """Note that the right bytes of a chunk came; say whether it was still missing."""
        request = self.out.get(request_id)
        assert request is not None
        is_first = self._near.delivered(request, self._manifest.chunk_size(index), now)
        was_missing = self.wanted.arrived(index)
        self.close(node, request_id, now)
        if is_first:
            self.out.hurry(lambda one: self._near[one.node].patience_s(self._near.usual_s))
        return was_missing

    def learn(self, node: str, have: bytes, now: float) -> None:
        """Note what `node` says it has, as it stands on the wire: empty means all."""
        count = self._manifest.chunk_count
        everything = bitmap.full(count)
        bits = bitmap.from_bytes(have, count) if have else everything
        self._near.learn(node, bits, now, is_whole=bits == everything)
        self._has_news = True

    def heard(self, node: str, have: bytes) -> None:
        """Note what one who calls itself `node` said it has, when it asked us for a chunk."""
        bits = bitmap.from_bytes(have, self._manifest.chunk_count)
        self._has_news |= self._near.heard(node, bits & self.wanted.missing)

    def had_nothing(self, node: str, request_id: int, have: bytes, now: float) -> None:
        """Note that `node` has none of what the request offered, but what `have` says."""
        request = self.out.get(request_id)
        assert request is not None
        has = bitmap.from_bytes(have, self._manifest.chunk_count)
        self._near[node].had_nothing(request, has, now)
        self._hedges.came_back(request)
        self.close(node, request_id, now)
        self.learn(node, have or b"\0", now)

    def is_busy(self, node: str, now: float) -> None:
        """Leave `node` alone for a moment: it said that it is busy."""
        self._near[node].is_busy(now)

    def close(self, node: str, request_id: int, now: float) -> None:
        """Note that a request is answered or given up; what it offered is free again."""
        request, freed = self.out.pop(request_id)
        self._near[node].closed(request, now)
        self.wanted.release(freed)
        self._has_news = True

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        if now < self._lost_at:
            return []
        silent, self._lost_at = self._near.silent(now)
        return silent

    def next_requests(self, now: float) -> list[Request]:
        """Return the requests to send now; they count as sent."""
        if now >= self.out.due:
            self._expire(now)
        if not self._has_news and now < self._wakes_at:
            return []
        self._has_news = False
        self._wakes_at = math.inf
        requests: list[Request] = []
        for ask in (self._ask_idle, self._guess, self._ask_more, self._hedge):
            if not self._is_full:
                requests += ask(now)
        return requests

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event, None if never."""
        times = self.out.due, self._wakes_at, self._lost_at
        return min([time for time in times if now < time < math.inf], default=None)

    def _expire(self, now: float) -> None:
        overdue, written_off, freed = self.out.turn(now)
        for request in overdue:
            self._near[request.node].is_late_with(request, now)
        for request in written_off:
            self._near[request.node].write_off(request)
        self.wanted.release(freed)
        self._has_news = True

    def _ask_idle(self, now: float) -> Iterator[Request]:
        """Ask those that have something and nothing to do: one request each, nearest first."""
        for peer, candidates in self._near.idle(self.wanted):
            yield from self._ask(peer, candidates, KNOWN_SHARE * len(self._near), now)
            if self._is_full:
                return

    def _guess(self, now: float) -> Iterator[Request]:
        """Ask those that may have something by now: for more, as they have nothing of most."""
        share = min(GUESSED_SHARE * len(self._near), self._settings.guessed_share)
        most = self._settings.guesses
        for peer in self._near.in_order:
            if not self.wanted.free or self._is_full or self.out.guesses >= most:
                return
            if not peer.waiting and not peer.is_whole:
                self._wake_for(peer.wakes_at(), now)
                candidates = self.wanted.free & peer.believed_to_have(now)
                yield from self._ask(peer, candidates, share, now)

    def _ask_more(self, now: float) -> Iterator[Request]:
        """Ask those that have room in their windows for more, always the least busy."""
        free, useful = self.wanted.free, self._near.useful
        rooms = [one for one in useful if one.has_room(now) and free & one.said_to_have]
        turns = [(peer.turn, peer) for peer in rooms]
        heapq.heapify(turns)
        while turns and not self._is_full:
            _, peer = turns[0]
            candidates = self.wanted.free & peer.said_to_have
            requests = self._ask(peer, candidates, KNOWN_SHARE * len(self._near), now)
            if requests:
                yield from requests
                heapq.heapreplace(turns, (peer.turn, peer))
            else:
                heapq.heappop(turns)

    def _hedge(self, now: float) -> Iterator[Request]:
        """At the end: have idle holders take over what others are far slower with."""
        hedges, missing = self._hedges, self.wanted.missing
        if self.wanted.free or not hedges.may_be(missing):
            return
        for peer, slow, index, at in hedges.chances(self._near, self.out, missing):
            if at > now:
                self._wake_for(at, now)
            elif self._has_room_for(self._manifest.chunk_size(index)):
                hedges.left -= 1
                slow.is_hedged = True
                yield self._send(peer, (index,), now, hedges=slow.request_id)
                if self._is_full or not hedges.may_be(missing):
                    return

    def _ask(self, peer: Peer, candidates: int, share: int, now: float) -> list[Request]:
        """Offer `peer` one in `share` of the free chunks, of the candidates, if there is room."""
        if not candidates:
            return []
        is_swarm = self._near.partial_count > 0
        if is_swarm and not peer.is_whole:
            candidates = self._near.rarest(candidates, peer, self._rng.random())
        count = max(1, min(self._settings.offer_chunks, self.wanted.free.bit_count() // share))
        chosen = self.wanted.first(candidates, count, scattered=is_swarm)
        size_bytes = self._manifest.chunk_size(chosen[0])
        if not peer.may_be_asked(size_bytes, now):
            self._wake_for(peer.wakes_at(), now)
            return []
        if not self._has_room_for(size_bytes):
            return []
        if count > 1:
            chosen = tuple(i for i in chosen if self._manifest.chunk_size(i) <= size_bytes)
        return [self._send(peer, chosen, now)]

    def _wake_for(self, time: float, now: float) -> None:
        if now < time < self._wakes_at:
            self._wakes_at = time

    @property
    def _is_full(self) -> bool:
        return self.out.prompt >= self._most_requests

    def _note_peers(self) -> None:
        count, settings = len(self._near), self._settings
        self._most_requests = max(settings.requests, min(count, settings.most_requests))
        self._has_news = True

    def _has_room_for(self, size_bytes: int) -> bool:
        out_bytes = self.out.prompt_bytes
        return not out_bytes or size_bytes + out_bytes <= self._settings.total_window_bytes

    def _send(
        self, peer: Peer, offered: tuple[int, ...], now: float, hedges: int | None = None
    ) -> Request:
        self._next_id += 1
        size_bytes = max(map(self._manifest.chunk_size, offered))
        due, written_off_at = now + peer.patience_s(self._near.usual_s), now + peer.write_off_s
        request = Request(self._next_id, peer.node, offered, size_bytes, now, due, written_off_at)
        request.hedges, request.is_guess = hedges, not request.bits & peer.said_to_have
        self.out.add(request)
        self.wanted.claim(request.bits)
        peer.sent(request)
        self._lost_at = min(self._lost_at, peer.lost_at())
        return request

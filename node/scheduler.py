"""Which chunk to ask of whom next. Knows nothing of sockets, bytes or disks.

A request offers a holder a few chunks, disjoint from what the others are offered; the holder
answers with one of them and the rest are free again. The next offer goes to whoever has room in its
window, so a fast holder delivers more. A chunk whose request is overdue may be asked of somebody
else.
"""

import heapq
import math
from typing import TYPE_CHECKING

from node.outstanding import Outstanding, Request
from node.peer import Peer
from node.settings import FetchSettings
from node.wanted import Wanted
from protocol import bitmap
from protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random


class Scheduler:
    """Looks through the holders when there is room for a request and something has changed."""

    def __init__(
        self, manifest: Manifest, have: int, needed: int, rng: "Random", settings: FetchSettings
    ) -> None:
        """Ask for those chunks of `manifest` that are `needed` and not in `have`."""
        self._manifest = manifest
        self._settings = settings
        self.wanted = Wanted(manifest.chunk_count, have, needed, rng)
        self.out = Outstanding()
        self._peers: dict[str, Peer] = {}  # The longest idle first.
        self._partial_count = 0
        self._most_requests = settings.requests  # To all holders together.
        self._most_guesses = settings.guesses
        self._has_news = True
        self._wakes_at = math.inf  # When a holder may be asked that could not be, without news.
        self._lost_at = math.inf  # Nobody is silent for too long before this.
        self._hedges_left = max(4, manifest.chunk_count // settings.hedged_share)
        self._next_id = rng.getrandbits(32) << 16  # A stranger cannot guess it.

    def add(self, node: str, now: float, *, complete: bool, give_up_s: float | None = None) -> None:
        """Take `node` in as a holder; does nothing when it is one already."""
        if node not in self._peers:
            have = bitmap.full(self._manifest.chunk_count) if complete else None
            self._peers[node] = Peer(node, have, now, self._settings, give_up_s)
            self._partial_count += not complete
            self._note_peers()

    def drop(self, node: str, now: float) -> None:
        """Forget `node`; what it was asked for is free for the others."""
        if node in self._peers:
            for request_id in list(self._peers[node].outstanding):
                self.close(node, request_id, now)
            self._partial_count -= not self._peers.pop(node).is_whole
            self._note_peers()

    def offered(self, node: str, request_id: int) -> tuple[int, ...] | None:
        """Return what the request offered, or None if `node` has no such request out."""
        request = self.out.get(request_id)
        return request.offered if request is not None and request.node == node else None

    def received(self, node: str, request_id: int, index: int, now: float) -> bool:
        """Note that the right bytes of a chunk came; say whether it was still missing."""
        request = self.out.get(request_id)
        assert request is not None
        self._peers[node].delivered(request, self._manifest.chunk_size(index), now)
        was_missing = self.wanted.arrived(index)
        self.close(node, request_id, now)
        return was_missing

    def learn(self, node: str, have: bytes, now: float) -> None:
        """Note what `node` says it has, as it stands on the wire: empty means all."""
        count = self._manifest.chunk_count
        everything = bitmap.full(count)
        bits = bitmap.from_bytes(have, count) if have else everything
        peer = self._peers[node]
        self._partial_count += peer.is_whole - (bits == everything)
        peer.learn(bits, now, is_whole=bits == everything)
        self._has_news = True

    def heard(self, node: str, have: bytes) -> None:
        """Note what one who calls itself `node` said it has, when it asked us for a chunk."""
        peer = self._peers.get(node)
        if peer is not None:
            bits = bitmap.from_bytes(have, self._manifest.chunk_count)
            self._has_news |= peer.heard(bits & self.wanted.missing)

    def had_nothing(self, node: str, request_id: int, have: bytes, now: float) -> None:
        """Note that `node` has none of what the request offered, but what `have` says."""
        request = self.out.get(request_id)
        assert request is not None
        has = bitmap.from_bytes(have, self._manifest.chunk_count)
        self._peers[node].had_nothing(request, has, now)
        self.close(node, request_id, now)
        self.learn(node, have or b"\0", now)

    def back_off(self, node: str, now: float) -> None:
        """Leave `node` alone for a while: it said that it is busy."""
        self._peers[node].back_off(now)

    def close(self, node: str, request_id: int, now: float) -> None:
        """Note that a request is answered or given up; what it offered is free again."""
        request, freed = self.out.pop(request_id)
        self._peers[node].closed(request, now)
        self.wanted.release(freed)
        self._peers[node] = self._peers.pop(node)  # Or who replies last would be asked first.
        self._has_news = True

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        if now < self._lost_at:
            return []
        self._lost_at = min((peer.lost_at() for peer in self._peers.values()), default=math.inf)
        return [node for node in sorted(self._peers) if self._peers[node].lost_at() <= now]

    def next_requests(self, now: float) -> list[Request]:
        """Return the requests to send now; they count as sent."""
        if now >= self.out.due:
            self._expire(now)
        if not self._has_news and now < self._wakes_at:
            return []
        self._has_news = False
        self._wakes_at = math.inf
        return [] if self._is_full else self._asked_in_turn(now)

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event, None if never."""
        times = (self.out.due, self._wakes_at, self._lost_at)
        return min((time for time in times if now < time < math.inf), default=None)

    def _expire(self, now: float) -> None:
        overdue, written_off, freed = self.out.turn(now)
        for request in overdue:
            self._peers[request.node].is_late_with(request)
            self._peers[request.node].back_off(now)
        for request in written_off:
            self._peers[request.node].write_off(request)
        self.wanted.release(freed)
        self._has_news = True

    def _asked_in_turn(self, now: float) -> list[Request]:
        """Ask one after the other: those with nothing to do first, then the least busy.

        One request each in turn, so that a small file comes from all of them.
        """
        requests: list[Request] = []
        for peer in list(self._peers.values()):
            if not peer.waiting and self._may_help(peer):
                request = self._ask(peer, now)
                if request is not None:
                    requests.append(request)
                    if self._is_full:
                        return requests
        turns = [(peer.turn, peer) for peer in self._peers.values() if peer.has_room(now)]
        heapq.heapify(turns)
        while turns and not self._is_full:
            _, peer = turns[0]
            request = self._ask(peer, now)
            if request is None:
                heapq.heappop(turns)
            else:
                requests.append(request)
                heapq.heapreplace(turns, (peer.turn, peer))
        return requests

    def _may_help(self, peer: Peer) -> bool:
        """Say whether it is worth a closer look: in a swarm most have nothing new, most times."""
        has_some = not self.wanted.free or self.wanted.free & peer.said_to_have()
        return bool(has_some) or self.out.guesses < self._most_guesses

    def _ask(self, peer: Peer, now: float) -> Request | None:
        """Return the next request to `peer`, which counts as sent; None if there is none now."""
        offered = self._choose(peer, now)
        if offered:
            return self._send(peer, offered, now)
        wakes_at = peer.wakes_at()
        if self.wanted.free and now < wakes_at < self._wakes_at:
            self._wakes_at = wakes_at
        if peer.waiting or self.wanted.free or not self._hedges_left:
            return None
        return self._take_over(peer, now)

    def _choose(self, peer: Peer, now: float) -> tuple[int, ...]:
        free, settings, peer_count = self.wanted.free, self._settings, len(self._peers)
        candidates, free_count = free & peer.said_to_have(), free.bit_count()
        count = free_count // (8 * peer_count)
        if not candidates and self.out.guesses < self._most_guesses:
            # It will have nothing of most of them, so the choice is larger.
            candidates = free & peer.believed_to_have(now)
            count = free_count // min(2 * peer_count, settings.guessed_share)
        if not candidates:
            return ()
        count = max(1, min(settings.offer_chunks, count))
        chosen = self.wanted.first(candidates, count, scattered=self._partial_count > 0)
        size_bytes = self._manifest.chunk_size(chosen[0])
        if not self._has_room_for(size_bytes) or not peer.may_be_asked(size_bytes, now):
            return ()
        if len(chosen) == 1:
            return chosen
        return tuple(index for index in chosen if self._manifest.chunk_size(index) <= size_bytes)

    @property
    def _is_full(self) -> bool:
        return self.out.prompt >= self._most_requests

    def _note_peers(self) -> None:
        count, settings = len(self._peers), self._settings
        self._most_requests = max(settings.requests, min(count, settings.most_requests))
        self._most_guesses = max(settings.guesses, count // settings.holders_per_guess)
        self._has_news = True

    def _has_room_for(self, size_bytes: int) -> bool:
        in_flight = self.out.prompt_bytes
        return in_flight == 0 or size_bytes <= self._settings.total_window_bytes - in_flight

    def _take_over(self, peer: Peer, now: float) -> Request | None:
        """At the end: ask an idle holder for a chunk with which another is far slower than it."""
        wanted = self.wanted.missing & peer.said_to_have()
        slow = next((one for one in self.out if one.bits & wanted and one.may_be_hedged), None)
        if slow is None or not peer.may_be_asked(0, now):
            return None
        takes_over_at = peer.takes_over_at(slow)
        if takes_over_at > now:
            self._wakes_at = min(self._wakes_at, takes_over_at)
            return None
        index = bitmap.lowest(slow.bits & wanted)
        if not self._has_room_for(self._manifest.chunk_size(index)):
            return None
        self._hedges_left -= 1
        slow.is_hedged = True
        return self._send(peer, (index,), now, hedges=slow.request_id)

    def _send(
        self, peer: Peer, offered: tuple[int, ...], now: float, hedges: int | None = None
    ) -> Request:
        self._next_id += 1
        size_bytes = max(map(self._manifest.chunk_size, offered))
        due, written_off_at = now + peer.patience_s, now + peer.write_off_s
        request = Request(self._next_id, peer.node, offered, size_bytes, now, due, written_off_at)
        request.hedges, request.is_guess = hedges, not request.bits & peer.said_to_have()
        self.out.add(request)
        self.wanted.claim(request.bits)
        peer.sent(request)
        self._lost_at = min(self._lost_at, peer.lost_at())
        self._peers[peer.node] = self._peers.pop(peer.node)
        return request

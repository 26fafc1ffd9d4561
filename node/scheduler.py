"""Which chunk to ask of whom next. Knows nothing of sockets, bytes or disks.

A request offers a holder a few chunks, disjoint from what the others are offered; the holder
answers with one of them and the rest are free again. The next offer goes to whoever has room in its
window, so a fast holder delivers more. A chunk whose request is overdue may be asked of somebody
else.
"""

import heapq
import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from node.peer import Peer, Request
from node.settings import FetchSettings
from protocol import bitmap
from protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random


class Scheduler:
    """The chunks of one thing that are missing, and the requests that are out for them."""

    def __init__(
        self, manifest: Manifest, have: int, rng: "Random", settings: FetchSettings
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._rng = rng
        self._missing = bitmap.full(manifest.chunk_count) & ~have
        self._free = self._missing
        self._requests: dict[int, Request] = {}
        self._peers: dict[str, Peer] = {}
        self._in_flight_bytes = 0
        self._overdue = 0  # So many of the requests.
        self._hedges_left = max(4, manifest.chunk_count // settings.hedged_share)
        self._next_id = rng.getrandbits(32) << 16  # A stranger cannot guess it.

    @property
    def is_complete(self) -> bool:
        return self._missing == 0

    @property
    def have(self) -> int:
        """The chunks that have arrived (protocol.bitmap)."""
        return bitmap.full(self._manifest.chunk_count) & ~self._missing

    @property
    def peers(self) -> list[str]:
        return sorted(self._peers)

    def add(self, node: str, now: float, *, complete: bool, give_up_s: float | None = None) -> None:
        """Take `node` in as a holder; does nothing when it is one already."""
        if node not in self._peers:
            have = bitmap.full(self._manifest.chunk_count) if complete else None
            self._peers[node] = Peer(node, have, now, self._settings, give_up_s)

    def drop(self, node: str, now: float) -> None:
        """Forget `node`; what it was asked for is free for the others."""
        if node in self._peers:
            for request_id in list(self._peers[node].outstanding):
                self.close(node, request_id, now)
            del self._peers[node]

    def offered(self, node: str, request_id: int) -> tuple[int, ...] | None:
        """Return what the request offered, or None if `node` has no such request out."""
        request = self._requests.get(request_id)
        return request.offered if request is not None and request.node == node else None

    def received(self, node: str, request_id: int, index: int, now: float) -> bool:
        """Note that the right bytes of a chunk came; say whether it was still missing."""
        self._peers[node].delivered(
            self._requests[request_id], self._manifest.chunk_size(index), now
        )
        was_missing = bool(self._missing >> index & 1)
        self._missing &= ~(1 << index)
        self.close(node, request_id, now)
        return was_missing

    def learn(self, node: str, have: bytes, now: float) -> None:
        """Note what `node` says it has, as it stands on the wire: empty means all."""
        count = self._manifest.chunk_count
        bits = bitmap.from_bytes(have, count) if have else bitmap.full(count)
        self._peers[node].learn(bits, now, is_whole=bits == bitmap.full(count))

    def heard(self, node: str, have: bytes) -> None:
        """Note what one who calls itself `node` said it has, when it asked us for a chunk."""
        if node in self._peers:
            bits = bitmap.from_bytes(have, self._manifest.chunk_count)
            self._peers[node].heard(bits & self._missing)

    def had_nothing(self, node: str, request_id: int, have: bytes, now: float) -> None:
        """Note that `node` has none of what the request offered, but what `have` says."""
        has = bitmap.from_bytes(have, self._manifest.chunk_count)
        self._peers[node].had_nothing(self._requests[request_id], has, now)
        self.close(node, request_id, now)
        self.learn(node, have or b"\0", now)

    def back_off(self, node: str, now: float) -> None:
        """Leave `node` alone for a while: it said that it is busy."""
        self._peers[node].back_off(now)

    def close(self, node: str, request_id: int, now: float) -> None:
        """Note that a request is answered or given up; what it offered is free again."""
        request = self._requests.pop(request_id)
        self._peers[node].closed(request, now)
        if request.is_overdue:
            self._overdue -= 1
        else:
            self._in_flight_bytes -= request.size_bytes
        if request.hedges in self._requests:
            self._requests[request.hedges].is_hedged = False
        self._release(request)

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        return [node for node in sorted(self._peers) if self._peers[node].lost_at() <= now]

    def next_requests(self, now: float) -> list[Request]:
        """Return the requests to send now; they count as sent."""
        self._expire(now)
        requests: list[Request] = []
        turns = [] if self._is_full else [(_turn(peer), peer) for peer in self._peers.values()]
        heapq.heapify(turns)
        while turns and not self._is_full:
            # One request each in turn, the least busy first: a small file comes from all of them.
            _, peer = heapq.heappop(turns)
            offered = self._choose(peer, now)
            slower = None if offered else self._slower(peer, now)
            if offered:
                requests.append(self._send(peer, offered, now))
            elif slower is not None:
                requests.append(self._hedge(peer, *slower, now))
            else:
                continue
            heapq.heappush(turns, (_turn(peer), peer))
        return requests

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event, None if never."""
        times = [
            request.written_off_at if request.is_overdue else request.due
            for request in self._requests.values()
        ]
        for peer in self._peers.values():
            times += (peer.wakes_at(), peer.lost_at())
            if not peer.waiting:
                take_overs = map(peer.takes_over_at, self._requests.values())  # In their order.
                times.append(next((time for time in take_overs if time > now), math.inf))
        return min((time for time in times if now < time < math.inf), default=None)

    def _expire(self, now: float) -> None:
        for request in self._requests.values():
            if not request.is_overdue and request.due <= now:
                request.is_overdue = True
                self._overdue += 1
                self._in_flight_bytes -= request.size_bytes
                self._release(request)
                self._peers[request.node].back_off(now)
            if not request.is_written_off and request.written_off_at <= now:
                self._peers[request.node].write_off(request)

    def _release(self, request: Request) -> None:
        """Free what `request` offered, unless somebody else is about to deliver it."""
        still_out = 0
        for other in self._requests.values():
            if not other.is_overdue:
                still_out |= other.bits
        self._free = (self._free | request.bits & ~still_out) & self._missing

    def _choose(self, peer: Peer, now: float) -> tuple[int, ...]:
        known = self._free & peer.said_to_have()
        candidates = known or self._free & peer.believed_to_have(now)
        if not candidates:
            return ()
        share = self._free.bit_count() // (8 * len(self._peers))
        wanted = max(1, min(self._settings.offer_chunks, share))
        chosen = tuple(itertools.islice(self._in_order(candidates), wanted))
        size_bytes = self._manifest.chunk_size(chosen[0])
        if not self._has_room_for(size_bytes) or not peer.may_be_asked(size_bytes, now):
            return ()
        return tuple(index for index in chosen if self._manifest.chunk_size(index) <= size_bytes)

    def _in_order(self, candidates: int) -> Iterator[int]:
        """Yield the candidates as they are to be offered.

        Whole holders are asked for one after the other, which suits their disks. In a swarm every
        host begins somewhere else, each time, or all would have the same and nothing to exchange.
        """
        start = 0 if self._all_whole else self._rng.randrange(self._manifest.chunk_count)
        later = candidates >> start << start
        return itertools.chain(bitmap.indices(later), bitmap.indices(candidates ^ later))

    @property
    def _is_full(self) -> bool:
        """Say whether as many requests are out as may be, to all holders together."""
        settings = self._settings
        limit = max(settings.requests, min(len(self._peers), settings.most_requests))
        return len(self._requests) - self._overdue >= limit

    def _has_room_for(self, size_bytes: int) -> bool:
        room = self._settings.total_window_bytes - self._in_flight_bytes
        return size_bytes <= room or self._in_flight_bytes == 0

    @property
    def _all_whole(self) -> bool:
        return all(peer.is_whole for peer in self._peers.values())

    def _slower(self, peer: Peer, now: float) -> tuple[Request, int] | None:
        """At the end: return a request that an idle holder would beat by far, and a chunk of it."""
        if peer.waiting or not peer.may_be_asked(0, now):
            return None
        wanted = self._missing & ~self._free & peer.said_to_have()
        if not wanted or not self._hedges_left:
            return None
        for request in self._requests.values():  # The oldest first.
            if peer.takes_over_at(request) > now:
                return None
            bits = request.bits & wanted
            if bits and request.may_be_hedged:
                index = bitmap.lowest(bits)
                size_bytes = self._manifest.chunk_size(index)
                return (request, index) if self._has_room_for(size_bytes) else None
        return None

    def _hedge(self, peer: Peer, slow: Request, index: int, now: float) -> Request:
        request = self._send(peer, (index,), now)
        request.hedges = slow.request_id
        self._hedges_left -= 1
        slow.is_hedged = True
        return request

    def _send(self, peer: Peer, offered: tuple[int, ...], now: float) -> Request:
        self._next_id += 1
        size_bytes = max(self._manifest.chunk_size(index) for index in offered)
        due, written_off_at = now + peer.patience_s, now + peer.write_off_s
        request = Request(self._next_id, peer.node, offered, size_bytes, now, due, written_off_at)
        self._requests[request.request_id] = request
        self._in_flight_bytes += size_bytes
        self._free &= ~request.bits
        peer.sent(request)
        return request


def _turn(peer: Peer) -> tuple[int, float, str]:
    """Order holders by whose turn it is; no two are equal."""
    return peer.waiting, peer.asked_at, peer.node

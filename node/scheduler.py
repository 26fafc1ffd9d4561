"""Which chunk to ask of whom next. Knows nothing of sockets, bytes or disks.

A request offers a holder a few chunks, disjoint from what the others are offered; the holder answers
with one of them and the rest are free again. The next offer goes to whoever has room in its window, so
a fast holder delivers more. A chunk whose request is overdue may be asked of somebody else.
"""

import itertools
import math
from typing import TYPE_CHECKING

from node.peer import Peer, Request
from node.settings import FetchSettings
from protocol import bitmap
from protocol.manifest import Manifest

if TYPE_CHECKING:
    import random


class Scheduler:
    """The chunks of one thing that are missing, and the requests that are out for them."""

    def __init__(
        self, manifest: Manifest, have: int, rng: "random.Random", settings: FetchSettings
    ) -> None:
        self._manifest = manifest
        self._settings = settings
        self._missing = bitmap.full(manifest.chunk_count) & ~have
        self._free = self._missing
        self._requests: dict[int, Request] = {}
        self._peers: dict[str, Peer] = {}
        self._in_flight_bytes = 0
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

    def add(self, node: str, now: float, *, complete: bool) -> None:
        """Take `node` in as a holder; does nothing when it is one already."""
        if node not in self._peers:
            have = bitmap.full(self._manifest.chunk_count) if complete else None
            self._peers[node] = Peer(node, have, now, self._settings)

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

    def back_off(self, node: str, now: float) -> None:
        """Leave `node` alone for a while: it said that it is busy."""
        self._peers[node].back_off(now)

    def close(self, node: str, request_id: int, now: float) -> None:
        """Note that a request is answered or given up; what it offered is free again."""
        request = self._requests.pop(request_id)
        self._peers[node].closed(request, now)
        self._in_flight_bytes -= request.size_bytes
        still_out = 0
        for other in self._requests.values():
            if not other.is_overdue:
                still_out |= other.bits
        self._free = (self._free | request.bits & ~still_out) & self._missing

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        return [node for node in sorted(self._peers) if self._peers[node].lost_at() <= now]

    def next_requests(self, now: float) -> list[Request]:
        """Return the requests to send now; they count as sent."""
        self._expire(now)
        requests: list[Request] = []
        able = dict(self._peers)
        while able:
            # One request each in turn, the least busy first: a small file comes from all of them.
            peer = min(able.values(), key=lambda peer: (len(peer.outstanding), peer.node))
            offered = self._choose(peer, now)
            if offered:
                requests.append(self._send(peer, offered, now))
            else:
                del able[peer.node]
        return requests

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event, None if never."""
        times = [
            request.written_off_at if request.is_overdue else request.due
            for request in self._requests.values()
        ]
        for peer in self._peers.values():
            times += [peer.wakes_at(), peer.lost_at()]
            if not peer.outstanding:
                times += [peer.takes_over_at(other) for other in self._requests.values()]
        return min((time for time in times if now < time < math.inf), default=None)

    def _expire(self, now: float) -> None:
        for request in self._requests.values():
            if not request.is_overdue and request.due <= now:
                request.is_overdue = True
                self._free |= request.bits & self._missing
                self._peers[request.node].back_off(now)

    def _choose(self, peer: Peer, now: float) -> tuple[int, ...]:
        candidates = self._free & peer.believed_to_have(now)
        if not candidates:
            return self._hedge(peer, now)
        size_bytes = self._manifest.chunk_size(bitmap.lowest(candidates))
        if not self._has_room_for(size_bytes) or not peer.may_be_asked(size_bytes, now):
            return ()
        plenty = self._free.bit_count() // (8 * len(self._peers))
        wanted = max(1, min(self._settings.offer_chunks, plenty))
        return tuple(itertools.islice(bitmap.indices(candidates), wanted))

    def _has_room_for(self, size_bytes: int) -> bool:
        room = self._settings.total_window_bytes - self._in_flight_bytes
        return size_bytes <= room or not self._requests

    def _hedge(self, peer: Peer, now: float) -> tuple[int, ...]:
        """At the end, have an idle holder take over from one that is far slower."""
        if peer.outstanding or not peer.may_be_asked(0, now):
            return ()
        wanted = self._missing & peer.believed_to_have(now)
        for request in self._requests.values():
            if request.is_hedged or not request.bits & wanted:
                continue
            if peer.takes_over_at(request) <= now:
                request.is_hedged = True
                return (bitmap.lowest(request.bits & wanted),)
        return ()

    def _send(self, peer: Peer, offered: tuple[int, ...], now: float) -> Request:
        self._next_id += 1
        size_bytes = max(self._manifest.chunk_size(index) for index in offered)
        request = Request(self._next_id, peer.node, offered, size_bytes, now, now + peer.patience_s)
        self._requests[request.request_id] = request
        self._in_flight_bytes += size_bytes
        self._free &= ~request.bits
        peer.sent(request)
        return request

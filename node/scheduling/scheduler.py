"""What is out, who has what, and when to look for more to ask for. Whom and what is asking's.

Knows nothing of sockets, bytes or disks.
"""

import math
from typing import TYPE_CHECKING

from shoal.node.scheduling.asking import Asking
from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.outstanding import Outstanding, Request
from shoal.node.scheduling.peer import Peer
from shoal.node.scheduling.settings import FetchSettings
from shoal.node.scheduling.twins import Twins
from shoal.node.scheduling.wanted import Wanted
from shoal.protocol import bitmap
from shoal.protocol.manifest import Manifest

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
        self._everything = bitmap.full(manifest.chunk_count)
        self.wanted = Wanted(manifest.chunk_count, have, needed, rng, Twins(manifest))
        self.out = Outstanding()
        self._near = Neighbours()
        self._asking = Asking(manifest, self._near, self.wanted, self.out, rng, settings)
        self._has_news = True  # Of any of them, …
        self._heard: list[Peer] = []  # … or only of these.

    def add(
        self,
        node: str,
        now: float,
        *,
        complete: bool,
        give_up_s: float | None = None,
        far: int = 0,
        wrong: int = 0,
    ) -> None:
        """Take `node` in as a holder, so `far` from us; does nothing when it is one already.

        It is not asked for the chunks in `wrong`.
        """
        if self._near.get(node) is None:
            have = self._everything if complete else None
            peer = Peer(node, have, now, self._settings, give_up_s, far)
            peer.sent_wrong(wrong)
            self._near.add(peer)
            self._asking.note_holders()
            self._has_news = True

    def met(self, node: str, round_trip_s: float) -> None:
        """Note how far away `node` is."""
        peer = self._near.get(node)
        if peer is not None and peer.met(round_trip_s):
            self._has_news = True

    def is_sending(self, node: str, now: float) -> None:
        """Note that bytes come from `node`, though no whole reply: it is not silent.

        Nor is it late, as long as nothing has told how long that may take.
        """
        peer = self._near.get(node)
        if peer is None:
            return
        peer.is_sending(now)
        for request in peer.outstanding.values():
            if not self._near.pace.is_known(request.size_bytes):
                request.due = max(request.due, now + self._settings.first_patience_s)

    def drop(self, node: str, now: float) -> None:
        """Forget `node`; what it was asked for is free for the others."""
        peer = self._near.get(node)
        if peer is not None:
            for request_id in list(peer.outstanding):
                self.close(node, request_id, now)
            self._near.drop(peer)
            self._asking.note_holders()
            self._has_news = True

    def asked_for(self, node: str, request_id: int) -> int | None:
        """Return the chunk that the request asks for; None if `node` has no such request out."""
        request = self.out.get(request_id)
        return request.index if request is not None and request.node == node else None

    def received(self, node: str, request_id: int, index: int, now: float) -> int:
        """Note that the right bytes of a chunk came; return which missing ones have them."""
        request = self.out.get(request_id)
        assert request is not None
        is_first = self._near.delivered(request, self._manifest.chunk_size(index), now)
        came = self.wanted.arrived(index)
        self.close(node, request_id, now)
        if is_first:
            pace = self._near.pace
            self.out.reconsider(lambda one: self._near[one.node].patience_s(pace, one.size_bytes))
        return came

    def sent_wrong(self, node: str, request_id: int, index: int, now: float) -> None:
        """Note that the bytes that came as a chunk are not those: `node` has none of it."""
        self._near[node].sent_wrong(1 << index)
        self.close(node, request_id, now)

    def learn(self, node: str, have: bytes, now: float) -> None:
        """Note what `node` says it has, as it stands on the wire: empty means all."""
        everything = self._everything
        bits = bitmap.from_bytes(have, self._manifest.chunk_count) if have else everything
        self._near.learn(node, bits, now, is_whole=bits == everything)
        self._has_news = True

    def heard(self, node: str, have: bytes, now: float) -> bool:
        """Note what one who calls itself `node` said it has, when it asked us for a chunk.

        Say whether it may be asked for something therefore.
        """
        bits = bitmap.from_bytes(have, self._manifest.chunk_count)
        if not self._near.heard(node, bits & self.wanted.missing, now):
            return False
        if not self.wanted.free:  # It may take something over.
            self._has_news = True
            return True
        peer = self._near[node]
        if not self._asking.has_room_at(peer, now):
            return False
        self._heard.append(peer)
        return True

    def had_nothing(self, node: str, request_id: int, have: bytes, now: float) -> None:
        """Note that `node` does not send what it was asked for, but has what `have` says."""
        request = self.out.get(request_id)
        assert request is not None
        has = bitmap.from_bytes(have, self._manifest.chunk_count)
        self._near[node].had_nothing(request, has, now)
        self._asking.hedges.came_back(request)
        self.close(node, request_id, now)
        self.learn(node, have or b"\0", now)

    def is_busy(self, node: str, now: float) -> None:
        """Leave `node` alone for a moment: it said that it is busy."""
        self._near[node].is_busy(now)

    def close(self, node: str, request_id: int, now: float) -> None:
        """Note that a request is answered or given up; its chunk is free again."""
        request, freed = self.out.pop(request_id)
        self._near[node].closed(request, now)
        self.wanted.release(freed)
        self._has_news = True

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        if now < self._asking.lost_at:
            return []
        silent, self._asking.lost_at = self._near.silent(now)
        return silent

    def next_requests(self, now: float) -> list[Request]:
        """Return the requests to send now; they count as sent."""
        if now >= self.out.due:
            self._expire(now)
        heard, self._heard = self._heard, []
        if self._has_news or now >= self._asking.wakes_at:
            self._has_news = False
            return self._asking.all(now)
        return self._asking.some(heard, now) if heard else []

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event, None if never."""
        times = self.out.due, self._asking.wakes_at, self._asking.lost_at
        return min([time for time in times if now < time < math.inf], default=None)

    def _expire(self, now: float) -> None:
        overdue, written_off, freed = self.out.turn(now)
        for request in overdue:
            self._near[request.node].is_late_with(request, now)
        for request in written_off:
            self._near[request.node].write_off(request)
        self.wanted.release(freed)
        self._has_news = True

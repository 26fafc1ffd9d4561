"""Which chunk to request from which holder next. Knows nothing of sockets, bytes or disks.

A request asks one holder for one chunk, which is not requested from any other meanwhile. The next
one goes to a holder with room in its window, so fast holders deliver more. A chunk whose request is
overdue may be requested from another holder.
"""

import functools
import heapq
import math
import operator
from collections.abc import Iterator
from typing import TYPE_CHECKING

from shoal.node.scheduling.budgets import Budget
from shoal.node.scheduling.hedges import Chance, Hedges, expected_s
from shoal.node.scheduling.holders import FIRST_PATIENCE_S, Peer
from shoal.node.scheduling.neighbours import Neighbours
from shoal.node.scheduling.requests import Outstanding, Request
from shoal.node.scheduling.wanted import Stretches, Twins, Wanted
from shoal.protocol import bitmap
from shoal.protocol.bucket import Bucket
from shoal.protocol.manifest import Manifest

if TYPE_CHECKING:
    from random import Random

REQUESTS = 16  # To all holders at a time: more would only wait in their queues …
MOST_REQUESTS = 20  # … but one for each holder, up to this.
GUESSES = 8  # At a time, to holders that are not known to have anything.
URGENT = 4  # At a time, of the quickest holders, even if as many as usual are out.


class Scheduler:
    """Looks through the holders when there is room for a request and something has changed."""

    def __init__(
        self, manifest: Manifest, have: int, needed: int, rng: "Random", window_bytes: int
    ) -> None:
        """Request the chunks of `manifest` that are `needed` and not in `have`.

        At most `window_bytes` are requested at a time, or one chunk.
        """
        self.wanted = Wanted(have, needed, rng, Twins(manifest))
        self.out = Outstanding()
        self.budget: Budget = Bucket()  # How much may be requested in which time.
        self._manifest = manifest
        self._window_bytes = window_bytes
        self._everything = bitmap.full(manifest.chunk_count)
        self._near = Neighbours()
        self._hedges = Hedges(manifest.chunk_count)
        self._next_id = rng.getrandbits(32) << 16  # A stranger cannot guess it.
        self._has_news = True
        self._is_spent = False  # The budget, for now.
        self._wakes_at = math.inf  # When a holder may be asked that may not be now, without news.
        self._lost_at = math.inf  # No holder has been silent for too long before this.

    # What becomes known of the holders.

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
        """Take `node` in as a holder at distance `far`; does nothing if it is one already.

        It is not asked for the chunks in `wrong`.
        """
        if self._near.get(node) is None:
            peer = Peer(node, self._everything if complete else None, now, give_up_s, far)
            peer.sent_wrong(wrong)
            self._near.add(peer)
            self._has_news = True

    def expect_nothing_of(self, node: str) -> None:
        """Note that `node`, which has just been added, is a stranger that may never answer."""
        self._near[node].is_stranger = True

    def met(self, node: str, round_trip_s: float) -> None:
        """Note how far away `node` is."""
        peer = self._near.get(node)
        if peer is not None:
            self._has_news |= self._near.met(peer, round_trip_s)

    def is_sending(self, node: str, now: float) -> None:
        """Note that bytes come from `node`, but not yet a whole reply: it is not silent.

        Nor is it late, while no reply has shown how long one may take.
        """
        peer = self._near.get(node)
        if peer is None:
            return
        peer.is_sending(now)
        for request in peer.outstanding.values():
            if not self._near.pace.is_known(request.size_bytes):
                request.due = max(request.due, now + FIRST_PATIENCE_S)

    def drop(self, node: str, now: float) -> None:
        """Forget `node`; the chunks requested from it are free for the others."""
        peer = self._near.get(node)
        if peer is not None:
            for request_id in list(peer.outstanding):
                self.give_up(node, request_id, now)
            self._near.drop(peer)
            self._has_news = True

    def learn(self, node: str, have: bytes, now: float) -> None:
        """Note what `node` says it has, as on the wire: no bytes mean everything."""
        everything = self._everything
        bits = bitmap.from_bytes(have, self._manifest.chunk_count) if have else everything
        self._near.learn(node, bits, now, is_whole=bits == everything)
        self._has_news = True

    def silent(self, now: float) -> list[str]:
        """Return the holders that have not answered for too long."""
        if now < self._lost_at:
            return []
        silent, self._lost_at = self._near.silent(now)
        return silent

    # What becomes of requests.

    def asked_for(self, node: str, request_id: int) -> int | None:
        """Return the chunk that a request asks for; None if `node` has no such request."""
        request = self.out.get(request_id)
        return request.index if request is not None and request.node == node else None

    def sent_at(self, request_id: int) -> float:
        """Return when a request was sent that is out."""
        request = self.out.get(request_id)
        assert request is not None
        return request.sent_at

    def received(self, node: str, request_id: int, index: int, now: float) -> int:
        """Note that the right bytes of a chunk arrived; return which missing ones have them."""
        request = self.out.get(request_id)
        assert request is not None
        is_first = self._near.delivered(request, self._manifest.chunk_size(index), now)
        came = self.wanted.arrived(index)
        self._close(node, request_id, now)
        if is_first:
            pace = self._near.pace
            self.out.reconsider(lambda one: self._near[one.node].patience_s(pace, one.size_bytes))
        return came

    def sent_wrong(self, node: str, request_id: int, index: int, now: float) -> None:
        """Note that `node` sent wrong bytes as a chunk: it does not have that one."""
        self._near[node].sent_wrong(1 << index)
        self._close(node, request_id, now)

    def had_nothing(self, node: str, request_id: int, have: bytes, now: float) -> None:
        """Note that `node` did not send the chunk, and says that it has `have`."""
        request = self.out.get(request_id)
        assert request is not None
        has = bitmap.from_bytes(have, self._manifest.chunk_count)
        self._near[node].had_nothing(request, has, now)
        self._hedges.came_back(request)
        self.give_up(node, request_id, now)
        self.learn(node, have or b"\0", now)

    def is_busy(self, node: str, now: float) -> None:
        """Leave `node` alone for a moment: it said that it is busy."""
        self._near[node].is_busy(now)

    def give_up(self, node: str, request_id: int, now: float) -> None:
        """Note that a request is not answered with a chunk, which is free again."""
        self.budget.give_back(self._close(node, request_id, now).size_bytes)

    def _close(self, node: str, request_id: int, now: float) -> Request:
        request, freed = self.out.pop(request_id)
        self._near[node].closed(request, now)
        self.wanted.release(freed)
        self._has_news = True
        return request

    # What to request.

    def urge(self, stretches: Stretches, only: Stretches | None = None) -> None:
        """Request these chunks before all others from now on: somebody is about to read them.

        What was urged before is not any more. If `only` is given, request no others than these.
        """
        self.wanted.urge(stretches, only)
        self._has_news = True

    def next_requests(self, now: float) -> list[Request]:
        """Return the requests to send now; they count as sent."""
        if now >= self.out.due:
            self._expire(now)
        if not self._has_news and now < self._wakes_at:
            return []
        self._wakes_at = math.inf
        self._has_news = False
        if self._spends_all(now):
            return []
        requests: list[Request] = []
        if self.wanted.urgent:
            requests += [*self._ask_the_quickest(now), *self._hedge_awaited(now)]
        for ask in (self._ask_idle, self._guess, self._ask_more, self._hedge):
            if self._is_full:
                break
            requests += ask(now)
        return requests

    def _spends_all(self, now: float) -> bool:
        """See whether the budget is spent; then everything is looked at again when it is not."""
        ready_at = self.budget.ready_at(now)
        self._is_spent = ready_at > now
        if self._is_spent:
            self._has_news = True
            self._wakes_at = ready_at
        return self._is_spent

    def deadline(self, now: float) -> float | None:
        """Return when something is due after `now` without any event; None if never."""
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

    @property
    def _is_full(self) -> bool:
        return self._is_spent or self.out.prompt >= min(
            max(REQUESTS, len(self._near)), MOST_REQUESTS
        )

    def _ask_the_quickest(self, now: float) -> Iterator[Request]:
        """Request what is urged from those who are likely to send it soonest, a few at a time."""
        while self.out.count(self.wanted.urgent) < URGENT and not self._is_spent:
            free = self.wanted.free & self.wanted.urgent
            peers = [one for one in self._near.proven if one.may_be_asked(0, now)]
            candidates = free & functools.reduce(
                operator.or_, (one.said_to_have for one in peers), 0
            )
            if not candidates:
                return
            bit = 1 << self.wanted.pick(candidates, is_scattered=False)
            peer = min((one for one in peers if one.said_to_have & bit), key=expected_s)
            asked = self._ask(peer, bit, now)
            if not asked:
                return
            yield from asked

    def _hedge_awaited(self, now: float) -> Iterator[Request]:
        """Have others take over what somebody waits for, and what takes far too long."""
        hedges, near = self._hedges, self._near
        for chance in hedges.awaited(near, self.out, self.wanted.awaited, self.wanted.missing):
            yield from self._take_over(chance, now)

    def _ask_idle(self, now: float) -> Iterator[Request]:
        """Send one request to each holder that has a free chunk and no request, nearest first."""
        for peer, candidates in self._near.idle(self.wanted):
            if peer.is_stranger and self._near.has_enough_strangers:
                return  # They come last.
            yield from self._ask(peer, candidates, now)
            if self._is_full:
                return

    def _guess(self, now: float) -> Iterator[Request]:
        """Ask holders that may have a free chunk by now, though nothing says so."""
        for peer in self._near.in_order:
            if not self.wanted.free or self._is_full or self.out.guesses >= GUESSES:
                return
            if not peer.waiting and not peer.is_whole:
                self._wake_for(peer.wakes_at(), now)
                yield from self._ask(peer, self.wanted.free & peer.believed_to_have(now), now)

    def _ask_more(self, now: float) -> Iterator[Request]:
        """Send more to holders with room in their windows, always to the least busy one."""
        free = self.wanted.free
        rooms = [one for one in self._near.useful if one.has_room(now) and free & one.said_to_have]
        turns = [(peer.turn, peer) for peer in rooms]
        heapq.heapify(turns)
        while turns and not self._is_full:
            _, peer = turns[0]
            requests = self._ask(peer, self.wanted.free & peer.said_to_have, now)
            if requests:
                yield from requests
                heapq.heapreplace(turns, (peer.turn, peer))
            else:
                heapq.heappop(turns)

    def _hedge(self, now: float) -> Iterator[Request]:
        """At the end, have idle holders take over requests that are far too slow."""
        if self.wanted.free:
            return
        hedges, missing = self._hedges, self.wanted.missing & self.out.asked_for()
        for chance in hedges.chances(self._near, self.out, missing):
            yield from self._take_over(chance, now)
            if self._is_full:
                return

    def _take_over(self, chance: Chance, now: float) -> Iterator[Request]:
        """Request a chunk from one more holder, if it is time."""
        peer, slow, at = chance
        if at > now:
            self._wake_for(at, now)
        elif self._has_room_for(slow.size_bytes) and not self._is_spent:
            self._hedges.left -= 1
            slow.is_hedged = True
            yield self._send(peer, slow.index, now, hedges=slow.request_id)

    def _ask(self, peer: Peer, candidates: int, now: float) -> list[Request]:
        """Request one of the candidates from `peer`, if there is room."""
        if not candidates:
            return []
        # The neighbours of a wrong chunk may have rotted with it.
        is_scattered = self._near.partial_count > 0 or peer.wrong != 0
        index = self.wanted.pick(candidates, is_scattered=is_scattered)
        size_bytes = self._manifest.chunk_size(index)
        if not peer.may_be_asked(size_bytes, now):
            self._wake_for(peer.wakes_at(), now)
            return []
        return [self._send(peer, index, now)] if self._has_room_for(size_bytes) else []

    def _wake_for(self, time: float, now: float) -> None:
        if now < time < self._wakes_at:
            self._wakes_at = time

    def _has_room_for(self, size_bytes: int) -> bool:
        out_bytes = self.out.prompt_bytes
        return not out_bytes or size_bytes + out_bytes <= self._window_bytes

    def _send(self, peer: Peer, index: int, now: float, hedges: int | None = None) -> Request:
        self._next_id += 1
        size_bytes = self._manifest.chunk_size(index)
        patience_s = peer.patience_s(self._near.pace, size_bytes)
        due, written_off_at = now + patience_s, now + peer.write_off_s(patience_s)
        request = Request(self._next_id, peer.node, index, size_bytes, now, due, written_off_at)
        request.hedges, request.is_guess = hedges, not request.bits & peer.said_to_have
        self.out.add(request)
        self.budget.take(size_bytes, now)
        self._spends_all(now)
        request.claims = self.wanted.with_twins(request.bits)
        self.wanted.claim(request.claims)
        peer.sent(request)
        self._lost_at = min(self._lost_at, peer.lost_at())
        return request

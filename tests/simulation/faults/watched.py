"""The product's machines, watched: what they do is checked after each step, and not changed."""

import math
from typing import Any

from shoal.broker.tracking.tracker import Expiry, Outcome, Tracker
from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.versions import Meant
from shoal.node.orders.fetches import Fetches
from shoal.node.orders.obeying import Obeying
from shoal.node.scheduling.requests import Outstanding
from shoal.protocol.control import Fetched, FetchOrder
from shoal.protocol.manifest import Manifest
from shoal.protocol.messages import Holders, Ok, Renew, TrackerRequest, Update
from shoal.protocol.permits import Asker
from shoal.protocol.pushing import Wish
from shoal.protocol.titles import Title

from tests.simulation.faults import limits
from tests.simulation.faults.ledger import Ledger
from tests.simulation.faults.threads import the_loop
from tests.simulation.faults.trace import Finding

LEASE_S = 30.0
MOST_LATE_S = 60.0  # A stopped process does not hear anything for 40 s.
MOST_OUT = 16  # Requests at one holder (wire.sockets).
ANSWERS = steps.ChunkReceived | steps.NothingReceived | steps.RequestRefused


class WatchedDownload(Download):
    """Accounts for each request, and sees that something is always due; somebody asked for it."""

    def __init__(self, meant: Meant, *args: Any, **named: Any) -> None:
        super().__init__(meant, *args, **named)
        self.host = _host()
        ledgers[0].require_reason(self.host, self.name, meant.id)
        self._sent: dict[int, str] = {}  # Request ids, and whom they were sent to.
        self._sizes: dict[int, int] = {}  # Of what they are for.
        self._gathers: object = None  # What the requests are for: the listing, or all of it.
        self.twice = 0
        self._came: set[int] = set()
        downloads.append(self)

    @property
    def chunk_count(self) -> int:
        return self.manifest.chunk_count if self.manifest is not None else 0

    @property
    def is_open(self) -> bool:
        return self.phase is not steps.Phase.OVER

    def handle(self, event: steps.Event, now: float) -> list[steps.Action]:
        if isinstance(event, ANSWERS):
            self._note_answer(event)
        if isinstance(event, steps.ChunkReceived) and self.manifest is not None:
            self._count(event, self.manifest)
        actions = super().handle(event, now)
        if self._gathering is not self._gathers:
            self._gathers = self._gathering
            self._sent.clear()  # Cancelled.
        for action in actions:
            if isinstance(action, steps.RequestChunk):
                self._note_request(action)
            elif isinstance(action, steps.Disconnect):
                self._note_loss(action.node)
        if self.is_open:
            self._check(now)
        return actions

    def _note_request(self, action: steps.RequestChunk) -> None:
        assert self.manifest is not None
        size_bytes = self.manifest.chunk_size(action.index)
        self._sent[action.request_id], self._sizes[action.request_id] = action.node, size_bytes
        limits.requested(self.host, size_bytes)

    def _note_answer(self, event: ANSWERS) -> None:
        size_bytes = self._sizes.pop(event.request_id, 0)
        was_out = self._sent.pop(event.request_id, None) is not None
        if was_out and not isinstance(event, steps.ChunkReceived):
            limits.requested(self.host, -size_bytes)

    def _note_loss(self, node: str) -> None:
        for number in [one for one, to in self._sent.items() if to == node]:
            del self._sent[number]
            limits.requested(self.host, -self._sizes.pop(number))

    def _count(self, event: steps.ChunkReceived, thing: Manifest) -> None:
        """Count the right chunks that came more than once."""
        index = event.index
        if index < thing.chunk_count and event.digest == thing.digest(index):
            self.twice += index in self._came
            self._came.add(index)

    def _check(self, now: float) -> None:
        if not self._waits_for_the_shell() and self.deadline(now) is None:
            raise Finding("deadlock", f"{self.host}: nothing is due in a fetch of {self.name}")
        if self._gathering is None:
            return
        out: Outstanding = self._gathering.scheduler.out
        lost = [one for one in self._sent if out.get(one) is None]
        if lost:
            raise Finding("accounted", f"{self.host}: request {lost[0]} was forgotten unanswered")
        if len(self._sent) > MOST_OUT * max(1, len(self.roster.connected)):
            raise Finding("memory", f"{self.host}: {len(self._sent)} requests are out")


downloads: list[WatchedDownload] = []


class WatchedTracker(Tracker):
    """Sees that no holder is named whose lease has run out, and that no push is lost."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        ledgers[0].began(self)
        self._heard: dict[str, float] = {}
        self._began = args[2]

    def handle(self, request: TrackerRequest, now: float, asker: Asker) -> Outcome:
        outcome = super().handle(request, now, asker)
        reply = outcome.reply
        ledgers[0].answered(request, reply)
        if isinstance(request, Update | Renew) and isinstance(reply, Ok):
            self._heard[request.node] = now
        if isinstance(reply, Holders):
            for holder in reply.holders:
                self._check(holder.node, now, is_alive=holder.alive)
        return outcome

    def expire(self, now: float) -> Expiry:
        expiry = super().expire(now)
        limits.require_lent(self._state.lending)
        for node in [one for one, at in self._heard.items() if now - at > 10 * LEASE_S]:
            del self._heard[node]
        return expiry

    def _check(self, node: str, now: float, *, is_alive: bool) -> None:
        last = self._heard.get(node, -math.inf if is_alive else self._began)
        if now - last > LEASE_S + 0.001:
            raise Finding("expired", f"{node} was named, last heard {now - last:.1f} s ago")


class WatchedObeying(Obeying):
    """Sees that what is fetched is still wished, as far as the node knows, and is ended if not."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._latest: list[Wish] = []
        self._over_at: float | None = None  # When what is being fetched was no longer wished.

    def take(self, wishes: list[Wish]) -> None:
        self._latest = wishes
        wish = ledgers[0].obeyed.get(self.node)
        if wish is not None and wish not in wishes and self._over_at is None:
            self._over_at = the_loop().now
            ledgers[0].hits["wish over while it is fetched"] += 1
        super().take(wishes)

    def _carry_out(self, wish: Wish, order: FetchOrder) -> None:
        ledger, latest = ledgers[0], self._latest
        ledger.require_wished(self.node, wish)
        if wish not in latest:
            raise Finding("cancelled", f"{self.node} fetches {wish.name}, and knows better")
        ledger.obeyed[self.node] = wish
        self._over_at = None
        super()._carry_out(wish, order)
        self._require_ended_soon(wish)
        ledger.hits["wish obeyed" if self._is_here(wish) else "wish failed"] += 1
        del ledger.obeyed[self.node]

    def _require_ended_soon(self, wish: Wish) -> None:
        late_s = 0.0 if self._over_at is None else the_loop().now - self._over_at
        if late_s > MOST_LATE_S:
            text = f"{self.node} went on fetching {wish.name} for {late_s:.0f} s"
            raise Finding("cancelled", text)


def healed(fetches: Fetches, damaged: Any, title: Title, *args: Any) -> Fetched:
    """Stand in for `Fetches.heal`, and note it."""
    ledgers[0].heals(_host(), title.id)
    return _heal(fetches, damaged, title, *args)


_heal = Fetches.heal


def _host() -> str:
    process = the_loop().process()
    assert process is not None
    return process.host


ledgers: list[Ledger] = []


def begin(ledger: Ledger) -> None:
    downloads.clear()
    ledgers[:] = [ledger]

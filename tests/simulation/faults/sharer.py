"""One of several trackers on its host, and what is checked of each of its answers."""

import math
import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import zmq
from shoal.broker.server import Server
from shoal.broker.shared_saver import SharedSaver, ThreadCourier
from shoal.broker.stores import NotSavedError
from shoal.broker.tracking.changes import Change, Gone
from shoal.broker.tracking.state import State
from shoal.broker.tracking.tracker import Expiry, Outcome
from shoal.protocol.messages import Ok, Renew, TrackerRequest, Update
from shoal.protocol.permits import Asker
from shoal.wire.wake import Wake

from tests.simulation.faults.hosts import TrackerHost
from tests.simulation.faults.shared_store import SharedStore
from tests.simulation.faults.threads import Process
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.watched import LEASE_S, WatchedTracker

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.several import Several

MOST_STALE_S = 3.0  # Exchanges are a second apart, or more often; the last one may have been lost.
STOPPED_S = 0.1  # How often to see whether one has stopped.
LATE_S = 5.0  # A renewal may reach the others so late: they are told each second.


class WatchedSharer(WatchedTracker):
    """Sees that no holder is named that no tracker has heard of late."""

    def __init__(self, several: "Several", *args: Any, **named: Any) -> None:
        self._several = several
        self._unsure_at = -math.inf  # When it knew last that it may not have heard who renewed.
        super().__init__(*args, **named, shares=True)

    def handle(self, request: TrackerRequest, now: float, asker: Asker) -> Outcome:
        outcome = super().handle(request, now, asker)
        if isinstance(request, Update | Renew):
            self._several.answered[request.node] = now
            if isinstance(outcome.reply, Ok):
                self._several.heard[request.node] = now
        self._require_no_rest(now)
        return outcome

    def expire(self, now: float) -> Expiry:
        expiry = super().expire(now)
        for change in expiry.changes:
            if isinstance(change, Gone) and not change.left and self._sharing.suspends(change.node):
                self._require_silent(change.node, now)
        return expiry

    def _require_silent(self, node: str, now: float) -> None:
        late_s = now - self._several.heard.get(node, -math.inf)
        if late_s < LEASE_S - LATE_S:
            raise Finding("expired", f"{node} counts as silent, and was heard {late_s:.1f} s ago")

    def _require_no_rest(self, now: float) -> None:
        """Require that an answer goes by all that the store has, if it can be asked."""
        late_s = now - self._several.unread_since(self)
        if late_s > MOST_STALE_S:
            raise Finding("stale", f"an answer goes by what was known {late_s:.1f} s ago")

    def store_is_away(self, *, is_away: bool) -> None:
        super().store_is_away(is_away=is_away)
        self._unsure_at = self._several.clock()

    def reload(self, folded: State, now: float) -> None:
        super().reload(folded, now)
        self._unsure_at = now

    def _check(self, node: str, now: float, *, is_alive: bool) -> None:
        if self._sharing.is_away:
            self._unsure_at = now
        last = max(self._several.heard.get(node, -math.inf), self._unsure_at)
        if not is_alive:
            last = max(last, self._began)
        if now - last > LEASE_S + LATE_S:
            raise Finding("expired", f"{node} was named, last heard {now - last:.1f} s ago")


class SharingTracker(TrackerHost):
    """A host with a tracker that shares its log with others."""

    def __init__(self, cluster: "Cluster", several: "Several", number: int) -> None:
        super().__init__(cluster, f"tracker-{number}", f"tcp://10.0.0.{249 + number}:4000")
        self.store: SharedStore | None = None
        self._several = several
        self._wake: Wake | None = None
        self._told_to_stop: Process | None = None

    @property
    def saver(self) -> SharedSaver | None:
        saver = None if self._server is None else self._server._saver
        assert saver is None or isinstance(saver, SharedSaver)
        return saver

    @property
    def is_even(self) -> bool:
        """Whether it knows all that the log has, and the log all that it knows."""
        tracker, saver, store = self.tracker, self.saver, self.store
        if tracker is None or saver is None or store is None or not store.reader.is_at_end:
            return False
        courier = saver._courier
        assert isinstance(courier, ThreadCourier)
        has_said_all = saver._exchanges.has_saved_all() and not tracker._changes
        return has_said_all and courier._results.empty() and not tracker._sharing.unconfirmed_count

    def gone(self) -> None:
        self._several.ended(self)
        super().gone()
        self.store = self._wake = None

    def forget(self) -> None:
        """It has no state of its own to lose."""

    def stop(self) -> None:
        """Stop it as SIGTERM does; if it is paused, it stops when it goes on."""
        if self._wake is not None:
            self._wake.set()
            self._told_to_stop = self.process

    def start(self) -> None:
        """Start it; if it has been told to stop and still runs, as soon as it has stopped."""
        loop = self.cluster.loop
        if self.is_up and self.process is self._told_to_stop:
            loop.at(loop.now + STOPPED_S, self.start)
        else:
            super().start()

    def _main(self, process: Process) -> None:
        several, clock = self._several, self.cluster.clock
        context: Any = zmq.Context()
        store = self.store = SharedStore(several.server, self.name, f"{self.name}.{process.number}")
        log = _log_so_far(store)
        told = self._initial(), random.Random(), clock(), log
        self.tracker = WatchedSharer(several, *told)
        server = self._server = Server(self.tracker, store, clock, several.settings)
        wake = self._wake = Wake()
        server.bind(context, self.address)
        server.serve(wake)
        self.gone()
        server.close()
        store.close()
        context.term()
        wake.close()
        self.cluster.trace.note(f"{self.name} has stopped")
        process.end()


def _log_so_far(store: SharedStore) -> Sequence[Change] | Iterable[Change]:
    try:
        return store.load()
    except NotSavedError:
        return ()

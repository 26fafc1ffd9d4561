"""Saves in a store that several trackers share, from a thread of its own.

A round of requests waits for the store, but never for long: a store that hangs costs each tracker
one short wait. From then on it goes on from memory, until the store has caught up.
"""

import contextlib
import logging
import queue
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from shoal.broker.exchanges import Exchanges, Fold, Job, Result, Sharer, carried_out
from shoal.broker.settings import ServerSettings
from shoal.broker.stores import NotSavedError, Store
from shoal.broker.tracking.changes import Change

_log = logging.getLogger("shoal.tracker")

CLOSE_S = 5.0  # A store that hangs gives up before.


class Courier(Protocol):
    """Carries out one job at a time, elsewhere."""

    def take(self, job: Job) -> None: ...
    def result(self, patience_s: float) -> Result | None: ...
    def close(self) -> None: ...


class ThreadCourier:
    """A thread that uses the store."""

    def __init__(self, store: Store, fold: Fold, wake: Callable[[], None]) -> None:
        """`fold` and `wake` are called from the thread.

        `fold` is given the whole log; `wake` tells that there is a result that nobody waits for.
        """
        self._store = store
        self._fold = fold
        self._wake = wake
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self._is_awaited = False
        self._thread = threading.Thread(target=self._carry_out, name="store", daemon=True)
        self._thread.start()

    def take(self, job: Job) -> None:
        self._jobs.put(job)

    def result(self, patience_s: float) -> Result | None:
        """Return what has come of the job; None if that takes longer."""
        with contextlib.suppress(queue.Empty):
            if patience_s > 0:
                return self._awaited(patience_s)
        with contextlib.suppress(queue.Empty):
            return self._results.get_nowait()  # Also what came as the wait ended: it wakes nobody.
        return None

    def _awaited(self, patience_s: float) -> Result:
        self._is_awaited = True
        try:
            return self._results.get(timeout=patience_s)
        finally:
            self._is_awaited = False

    def close(self) -> None:
        """End the thread, which may be waiting for the store."""
        self._jobs.put(None)
        self._thread.join(CLOSE_S)

    def _carry_out(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                result = carried_out(job, self._store, self._fold)
            except Exception as error:  # noqa: BLE001 (a bug costs that exchange, not the service)
                place = traceback.extract_tb(error.__traceback__)[-1]
                _log.warning("a bug in the store, at line %s: %r", place.lineno, error)
                result = NotSavedError(repr(error))
            self._results.put(result)
            if not self._is_awaited:
                self._wake()


class SharedSaver:
    """Exchanges changes with other trackers. For the thread that serves, except for `trouble`."""

    def __init__(
        self,
        courier: Courier,
        tracker: Sharer,
        settings: ServerSettings,
        clock: Callable[[], float],
    ) -> None:
        self._courier = courier
        self._settings = settings
        self._clock = clock
        self._exchanges = Exchanges(tracker, settings, clock())
        self._is_slow = False  # It took too long, and has not caught up.
        self._notified: dict[str, None] = {}

    @property
    def failure_count(self) -> int:
        return self._exchanges.failure_count

    @property
    def trouble(self) -> str:
        """Why the store is away; empty if it is not. For any thread."""
        return self._exchanges.trouble

    def counts(self) -> dict[str, int]:
        """Return what is counted."""
        exchanges = self._exchanges
        away = bool(exchanges.trouble)
        counted = {"failed_saves": self.failure_count, "store_outages": exchanges.outage_count}
        return counted | {"store_away": int(away), "unsaved_changes": exchanges.unsaved_count}

    def deadline(self) -> float | None:
        """When there is something to do, if no requests come."""
        return self._exchanges.deadline

    def catch_up(self, now: float) -> None:
        """Take in what others have decided, before anything is decided here.

        After a pause, this waits for it: nodes may have gone over to another tracker meanwhile.
        """
        exchanges, began = self._exchanges, self._clock()
        self._take_in(now, 0.0)
        self._hand_over(now)
        while exchanges.is_behind(now) and not self._is_slow:
            self._wait(now, began)
            self._hand_over(now)

    def save(self, changes: Sequence[Change], now: float) -> bool:
        """Save the changes, after those that are not saved yet; say whether all are."""
        exchanges, began = self._exchanges, self._clock()
        is_lost, loss_count = exchanges.is_lost, exchanges.loss_count
        exchanges.add(changes, now)
        while not exchanges.has_saved_all() and not self._is_slow:
            self._hand_over(now)
            self._wait(now, began)
        self._hand_over(now)
        is_known = not is_lost and exchanges.loss_count == loss_count
        return is_known and exchanges.has_saved_all()

    def taken_notified(self) -> tuple[str, ...]:
        """Return, once, the nodes that are to hear at once what others have decided."""
        notified = tuple(self._notified)
        self._notified.clear()
        return notified

    def close(self) -> None:
        self._courier.close()

    def _hand_over(self, now: float) -> None:
        job = self._exchanges.next_job(now)
        if job is not None:
            self._courier.take(job)

    def _wait(self, now: float, began: float) -> None:
        """Take in a result, for which a round that began then may wait; without one, none does."""
        left_s = self._settings.exchange_patience_s - (self._clock() - began)
        if not self._take_in(now, max(0.0, left_s)):
            self._is_slow = True

    def _take_in(self, now: float, patience_s: float) -> bool:
        """Take in a result, if there is one in time; say so."""
        if not self._exchanges.is_out:
            return False
        result = self._courier.result(patience_s)
        if result is None:
            return False
        self._notified |= dict.fromkeys(self._exchanges.done(result, now))
        if self._exchanges.trouble:
            self._is_slow = True
        elif self._exchanges.has_saved_all():
            self._is_slow = False
        return True

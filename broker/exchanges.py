"""What a tracker exchanges with a store that others share, and when. Does no I/O, reads no clock.

One job is out at a time, in whatever thread or process; meanwhile the tracker decides and answers.
"""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shoal.broker.settings import ServerSettings
from shoal.broker.stores import Exchanged, LostError, NotLoadedError, NotSavedError, Store
from shoal.broker.tracking.changes import Change, Renewed
from shoal.broker.tracking.state import State

_log = logging.getLogger("shoal.tracker")


class Sharer(Protocol):
    """The tracker, as far as it shares its log."""

    def absorb(self, others: Sequence[Change], confirmed: int, now: float) -> tuple[str, ...]: ...
    def reload(self, folded: State, now: float) -> None: ...
    def await_reload(self) -> None: ...
    def taken_renewed(self) -> tuple[Renewed, ...]: ...
    def hear(self, renewed: Iterable[Renewed], now: float) -> None: ...
    def store_is_away(self, *, is_away: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Job:
    """One call of the store: `load`, or an exchange of these."""

    loads: bool = False
    changes: Sequence[Change] = ()
    renewed: Sequence[Renewed] = ()


Fold = Callable[[Iterable[Change]], State]
Result = Exchanged | State | NotSavedError | LostError  # The second: what all of the log comes to.


def carried_out(job: Job, store: Store, fold: Fold) -> Result:
    """Return what has come of a job."""
    try:
        return fold(store.load()) if job.loads else store.exchange(job.changes, job.renewed)
    except (NotSavedError, LostError) as error:
        return error


class Exchanges:
    """Keeps what the store has not confirmed, and gives the tracker what comes from it."""

    def __init__(self, tracker: Sharer, settings: ServerSettings, now: float) -> None:
        self.failure_count = 0
        self.outage_count = 0
        self.loss_count = 0  # How often it was given up that each change is confirmed.
        self.trouble = ""  # Why the store is away; empty if it is not.
        # What others decided before this is known. Nothing is, at first: the log may have been read
        # long before, as to fold it takes a while, and the process may have been paused since.
        self.done_at = -math.inf
        self._tracker = tracker
        self._settings = settings
        self._unsaved: list[Change] = []
        self._must_load = False
        self._out: Job | None = None
        self._out_since = 0.0
        self._next_at = now
        self._tell_at = now

    @property
    def is_out(self) -> bool:
        return self._out is not None

    @property
    def is_lost(self) -> bool:
        """Whether the log is to be read again; what is decided until then is said later."""
        return self._must_load

    @property
    def unsaved_count(self) -> int:
        return len(self._unsaved)

    def is_behind(self, now: float) -> bool:
        """Say whether others may have decided something a while ago that is not known here."""
        return now - self.done_at > self._settings.away_after_s

    def has_saved_all(self) -> bool:
        return not self._unsaved and not self._must_load

    @property
    def deadline(self) -> float | None:
        """When there is something to do, if nothing is decided before."""
        if self._out is None:
            return self._next_at
        return None if self.trouble else self._out_since + self._settings.away_after_s

    def add(self, changes: Sequence[Change], now: float) -> None:
        """Note what was decided; it goes out with the next job."""
        if self._must_load:
            return
        self._unsaved += changes
        if len(self._unsaved) > self._settings.max_unsaved_changes:
            self._give_up()
        elif changes and not self.trouble:
            self._next_at = now

    def next_job(self, now: float) -> Job | None:
        """Return what to have the store do now, if anything. It counts as under way."""
        if self._out is not None:
            if now >= self._out_since + self._settings.away_after_s:
                self._is_away(f"no answer for {self._settings.away_after_s:.0f} s")
            return None
        if now < self._next_at:
            return None
        renewed: tuple[Renewed, ...] = ()
        if now >= self._tell_at and not self._must_load:
            renewed = self._tracker.taken_renewed()
            self._tell_at = now + self._settings.tell_renewed_s
        self._out, self._out_since = Job(self._must_load, tuple(self._unsaved), renewed), now
        return self._out

    def done(self, result: Result, now: float) -> tuple[str, ...]:
        """Take in what has come of the job; return the nodes that are to hear news at once."""
        job, self._out = self._out, None
        assert job is not None, "nothing comes of nothing"
        settings = self._settings
        self._next_at = now + settings.exchange_every_s
        if isinstance(result, NotSavedError):
            self.failure_count += 1
            self._next_at = now + settings.retry_exchange_s
            self._is_away(str(result))
            return ()
        has_more = isinstance(result, Exchanged) and result.has_more
        if not has_more:
            self.done_at = self._out_since
        if isinstance(result, LostError):
            if not isinstance(result, NotLoadedError):
                _log.warning("the store has lost something (%s); saying it again", result)
            self._give_up()
            self._next_at = now
            return ()
        notified = self._taken_in(job, result, now)
        self._is_back()
        if self._unsaved or has_more or self.is_behind(now):
            self._next_at = now
        return notified

    def _taken_in(self, job: Job, result: Exchanged | State, now: float) -> tuple[str, ...]:
        if not isinstance(result, Exchanged):
            self._must_load = False
            self._tracker.reload(result, now)
            return ()
        if self._must_load:  # Given up meanwhile.
            return ()
        confirmed = len(job.changes) - result.unsaved
        del self._unsaved[:confirmed]
        notified = self._tracker.absorb(result.others, confirmed, now)
        self._tracker.hear(result.renewed, now)
        return notified

    def _give_up(self) -> None:
        """Keep nothing for the store any more: its log is read again, and what it lacks added."""
        self._unsaved.clear()
        self.loss_count += 1
        self._must_load = True
        self._tracker.await_reload()

    def _is_away(self, trouble: str) -> None:
        if not self.trouble:
            self.outage_count += 1
            self._tracker.store_is_away(is_away=True)
            _log.warning(
                "the store is away (%s): answering from memory, and retrying; "
                "pushes are refused until it is back",
                trouble,
            )
        self.trouble = trouble

    def _is_back(self) -> None:
        if self.trouble:
            self.trouble = ""
            self._tracker.store_is_away(is_away=False)
            _log.warning("the store is back")

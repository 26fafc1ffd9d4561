"""All work of a node that takes long: who waits for it, and how it is stopped.

A fetch, a verification and the healing of damaged things are jobs alike. Knows nothing of what they
do.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from shoal.node.network.stop import Stop
from shoal.protocol.control import Working
from shoal.protocol.errors import KINDS, Kind, OperatorError, StoppedError

T = TypeVar("T")
OnProgress = Callable[[Working], None]
Work = Callable[[Stop, OnProgress], T]
Told = Callable[[Kind], OperatorError]  # What to say of work that was stopped.


class Caller:
    """Somebody who waits for a job. It is known by its order: this very one, not an equal one."""

    def __init__(
        self,
        order: object,
        on_progress: OnProgress,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_wanted` tells whether the order still holds: it may be over before the job begins."""
        self.order = order
        self.on_progress = on_progress
        self.is_wanted = is_wanted
        self.stop_kind: Kind | None = None
        self.sees_the_end = False  # Though it is to stop: it was the last one.


class Jobs:
    """The jobs that are running, by key: at most one for each."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._running: dict[Hashable, _Job[Any]] = {}
        self._stop_kind: Kind | None = None

    def run(self, key: Hashable, caller: Caller, work: Work[T], told: Told) -> T:
        """Have `work` done, and wait for it.

        Raises:
            OperatorError: it failed, this caller was to stop, or the key is taken.
        """
        with self._guard:
            if key in self._running:
                raise TakenError
            job = self._begin(key, caller, work, told)
        return job.wait(caller)

    def join(self, key: Hashable, caller: Caller, work: Work[T], told: Told) -> T:
        """Wait for the job with that key, or have `work` done if there is none; raises as `run`."""
        with self._guard:
            job: _Job[T] | None = self._running.get(key)
            if job is None or not job.join(caller):
                job = self._begin(key, caller, work, told)
        if not caller.is_wanted():  # `cancel` may have looked for it before it was there.
            job.leave(caller.order, StoppedError)
        return job.wait(caller)

    def cancel(self, order: object, kind: Kind) -> None:
        """Stop waiting for this very order; if nobody else waits for the job, stop it."""
        with self._guard:
            running = list(self._running.values())
        for job in running:
            job.leave(order, kind)

    def cancel_all(self, kind: Kind) -> None:
        """Stop all jobs, and those that would begin later. For signal handlers too: no lock."""
        self._stop_kind = kind
        for job in list(self._running.values()):
            job.leave(None, kind)

    def _begin(self, key: Hashable, caller: Caller, work: Work[T], told: Told) -> "_Job[T]":
        def on_over() -> None:
            with self._guard:
                if self._running.get(key) is job:  # Not if another has begun while this one ends.
                    del self._running[key]

        job = _Job(work, Stop(told), on_over)
        job.join(caller)
        self._running[key] = job
        if self._stop_kind is not None:
            job.leave(None, self._stop_kind)
        job.start()
        return job


class TakenError(OperatorError):
    """A job with that key is running already."""

    def __init__(self) -> None:
        super().__init__("it is running already; wait for it")


class _Job(Generic[T]):
    """Work in a thread of its own, for as long as somebody waits for it."""

    def __init__(self, work: Work[T], stop: Stop, on_over: Callable[[], None]) -> None:
        """`on_over` is called when it is done, before anybody hears of the outcome."""
        self._work = work
        self._stop = stop
        self._on_over = on_over
        self._changed = threading.Condition()
        self._callers: list[Caller] = []
        self._is_ending = False
        self._outcome: list[T | Exception] = []  # One, once it is done.
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, caller: Caller) -> bool:
        """Have one more wait for it; return False if it is ending, and so of no use to others."""
        with self._changed:
            if not self._is_ending:
                self._callers.append(caller)
            return not self._is_ending

    def wait(self, caller: Caller) -> T:
        """Return what came of it; raise OperatorError if it failed or this caller was to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._outcome or _has_left(caller))
            if _has_left(caller):
                assert caller.stop_kind is not None
                message = "interrupted; others are waiting for it, so it continues"
                raise caller.stop_kind(message)
            (outcome,) = self._outcome
        if isinstance(outcome, OperatorError):  # One for each: a trace is written into it.
            raise KINDS[outcome.kind](str(outcome), brief=outcome.brief)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def leave(self, order: object | None, kind: Kind) -> None:
        """Have the caller with that order, or all, wait no more; the last one ends the work."""
        with self._changed:
            leaving = [one for one in self._callers if order is None or one.order is order]
            for caller in leaving:
                caller.stop_kind = kind
                self._callers.remove(caller)
            is_last = bool(leaving) and not self._callers
            self._is_ending |= is_last
            for caller in leaving:
                caller.sees_the_end = is_last
            self._changed.notify_all()
        if is_last:
            self._stop.set(kind)

    def _run(self) -> None:
        try:
            outcome: T | Exception = self._work(self._stop, self._tell)
        except Exception as error:  # noqa: BLE001 (each caller raises it)
            outcome = error
        self._on_over()
        with self._changed:
            self._is_ending = True
            self._outcome.append(outcome)
            self._changed.notify_all()
        self._stop.close()

    def _tell(self, working: Working) -> None:
        with self._changed:
            callers = list(self._callers)
        for caller in callers:
            caller.on_progress(working)


def _has_left(caller: Caller) -> bool:
    return caller.stop_kind is not None and not caller.sees_the_end

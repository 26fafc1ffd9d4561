"""One piece of work that several callers wait for, each with its own reports and its own end.

It goes on as long as one of them waits. Knows nothing of what is done.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from shoal.protocol.control import Working
from shoal.protocol.errors import KINDS, Kind, OperatorError

T = TypeVar("T")
OnProgress = Callable[[Working], None]


class Caller:
    """One who waits; `ticket` is what it is known by."""

    def __init__(self, ticket: object, on_progress: OnProgress) -> None:
        self.ticket = ticket
        self.on_progress = on_progress
        self.stop_kind: Kind | None = None
        self.sees_the_end = False  # Though it is to stop: it was the last one.


class Joint(Generic[T]):
    """Work in a thread of its own, from `start` to its outcome."""

    def __init__(
        self,
        work: Callable[[OnProgress], T],
        stop: Callable[[Kind], None],
        on_over: Callable[[], None],
    ) -> None:
        """`stop` has `work` raise OperatorError soon; `on_over` is called when it is over."""
        self._work = work
        self._stop = stop
        self._on_over = on_over
        self._changed = threading.Condition()
        self._callers: list[Caller] = []
        self._is_ending = False
        self._outcome: T | Exception | None = None
        self._thread = threading.Thread(target=self._run, name="fetch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, caller: Caller) -> bool:
        """Have one more wait for it; say no if it is ending, and so is of no use to anybody new."""
        with self._changed:
            if not self._is_ending:
                self._callers.append(caller)
            return not self._is_ending

    def wait(self, caller: Caller) -> T:
        """Return what came of it.

        Raises:
            OperatorError: it failed, or this caller was to stop.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._outcome is not None or _has_left(caller))
            outcome = None if _has_left(caller) else self._outcome
        match outcome:
            case OperatorError():  # One for each: a trace is written into it.
                raise KINDS[outcome.kind](str(outcome))
            case Exception():
                raise outcome
            case None:
                assert caller.stop_kind is not None
                message = "interrupted; others wait for it, so it goes on"
                raise caller.stop_kind(message)
            case _:
                return outcome

    def leave(self, ticket: object | None, kind: Kind) -> None:
        """Have the caller with that ticket, or all, wait no more; the last one has the work end."""
        with self._changed:
            leaving = [one for one in self._callers if ticket is None or one.ticket is ticket]
            for caller in leaving:
                caller.stop_kind = kind
                self._callers.remove(caller)
            is_last = bool(leaving) and not self._callers
            self._is_ending |= is_last
            for caller in leaving:
                caller.sees_the_end = is_last
            self._changed.notify_all()
        if is_last:
            self._stop(kind)

    def _run(self) -> None:
        try:
            outcome: T | Exception = self._work(self._tell)
        except Exception as error:  # noqa: BLE001 (each caller raises it)
            outcome = error
        with self._changed:
            self._is_ending = True
            self._outcome = outcome
            self._changed.notify_all()
        self._on_over()

    def _tell(self, working: Working) -> None:
        with self._changed:
            callers = list(self._callers)
        for caller in callers:
            caller.on_progress(working)


def _has_left(caller: Caller) -> bool:
    return caller.stop_kind is not None and not caller.sees_the_end

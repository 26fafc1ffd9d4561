"""Tells the service manager that a process serves, goes on and stops (systemd: Type=notify).

The watchdog hears of it as long as nothing ails the process: a mere timer would beat in one that
hangs. Knows nothing of what it does.
"""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from shoal.system.supervisor import Supervisor

LOOK_S = 10.0  # How often to tell what is going on.
LOOKS_IN_LIMIT = 3  # That often within the time that the watchdog gives.


class Condition(Protocol):
    """How a process is, as its node or its tracker says. Both may raise."""

    def ailments(self) -> list[str]: ...
    def unready(self) -> list[str]: ...


class Supervised:
    """A context manager, while the process serves; does nothing if no manager wants to know."""

    def __init__(self, supervisor: Supervisor, condition: Condition) -> None:
        self._supervisor = supervisor
        self._condition = condition
        self._is_ready = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervised", daemon=True)
        limit_s = supervisor.watchdog_s
        self._look_s = LOOK_S if limit_s is None else min(LOOK_S, limit_s / LOOKS_IN_LIMIT)

    def __enter__(self) -> Self:
        if self._supervisor.is_there:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stopping()
        if self._thread.ident is not None:
            self._thread.join()

    def stopping(self) -> None:
        """Tell that the process is about to end, once. May be called from any thread."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._supervisor.tell(STOPPING=1)

    def reloading(self, reload: Callable[[], None]) -> Callable[[], None]:
        """Return what does `reload`, and tells when that begins and ends."""

        def told() -> None:
            if self._is_ready:
                since_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                self._supervisor.tell(RELOADING=1, MONOTONIC_USEC=since_us)
            try:
                reload()
            finally:
                if self._is_ready and not self._stopping.is_set():
                    self._supervisor.tell(READY=1)

        return told

    def _run(self) -> None:
        while not self._stopping.is_set():
            status, is_well = self._looked()
            if self._stopping.is_set():
                return
            if is_well:
                news = {"WATCHDOG": 1} if self._is_ready else {"READY": 1}
                self._is_ready = True
                self._supervisor.tell(**news, STATUS=status)
            else:
                self._supervisor.tell(STATUS=status)
            self._stopping.wait(self._look_s)

    def _looked(self) -> tuple[str, bool]:
        """Return what goes on, as a phrase for people, and whether the process is well."""
        try:
            ailments = self._condition.ailments()
            missing = [] if ailments else self._condition.unready()
        except Exception as error:  # noqa: BLE001 (a bug, and a process that is not well)
            ailments, missing = [f"this is a bug: {error!r}"], []
        return "; ".join(ailments or ["serves", *missing]), not ailments

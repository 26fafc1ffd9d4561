"""Threads in virtual time: each is a greenlet, one runs at a time, until it has to wait.

What one has to wait for is its own matter (waiting, sockets, disk). A process is what a kill ends.
"""

import collections
import math
import random
from collections.abc import Callable
from typing import Any

import greenlet  # type: ignore[import-untyped]  # It ships no types.

from tests.simulation.world import Actor, World

BOOTED_S = 100_000.0  # What the clock of a host that has been up for a day shows at the start.
MOST_TURNS = 200_000  # Of threads at one moment: more of them would never let time pass.


class KilledError(BaseException):
    """This thread's process has been killed: it does nothing more, whatever it would do then."""


class StuckError(Exception):
    """Threads keep each other busy, and time does not pass."""


class Process:
    """One run of a program, from its start to its end or a kill."""

    def __init__(self, loop: "Loop", host: str, number: int) -> None:
        self.loop = loop
        self.host = host
        self.number = number
        self.is_dead = False  # From the kill on; …
        self.is_over = False  # … and when nothing is left of it.
        self.is_paused = False
        self.threads: dict[Thread, None] = {}
        self.at_end: list[Callable[[], None]] = []  # What the kernel frees.
        self._waiting: list[Thread | Callable[[], None]] = []  # For SIGCONT.

    def start(self, work: Callable[[], Any], name: str = "main") -> "Thread":
        """Begin a thread of this process."""
        thread = Thread(target=work, name=name)
        thread.process = self
        thread.start()
        return thread

    def pause(self) -> None:
        """Stop all threads (SIGSTOP)."""
        self.is_paused = True

    def go_on(self) -> None:
        """Let them run again (SIGCONT)."""
        self.is_paused = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if isinstance(each, Thread):
                self.loop.make_ready(each)
            else:
                each()

    def when_running(self, act: Callable[[], None]) -> None:
        """Do something that a thread of libzmq would do: now, or after SIGCONT."""
        if self.is_paused:
            self._waiting.append(act)
        elif not self.is_dead:
            act()

    def freeze(self, thread: "Thread") -> None:
        self._waiting.append(thread)

    def kill(self) -> None:
        """End it as SIGKILL does. May be called from one of its own threads, which raises."""
        if self.is_dead:
            return
        self.is_dead = True
        self._waiting.clear()
        self.loop.at(self.loop.now, self._bury)

    def _bury(self) -> None:
        for thread in list(self.threads):
            thread.unwind()
        self.end()

    def end(self) -> None:
        """Free what it had, as the kernel does at the end of a process."""
        self.is_dead = self.is_over = True
        while self.at_end:
            self.at_end.pop()()


class Thread:
    """Stands in for threading.Thread."""

    def __init__(
        self,
        _: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self.name = name or "thread"
        self.daemon = daemon
        self.ident: int | None = None
        self.process: Process | None = None
        self.is_parked = False
        self.ticket = 0  # Of the last wait: what would end an earlier one comes too late.
        self.was_woken = False
        self._work = target, args, kwargs or {}
        self._has_begun = False
        self._is_over = False
        self._joining: list[Thread] = []
        self._greenlet = _Greenlet(self._begin)
        self._greenlet.thread = self

    def start(self) -> None:
        loop = the_loop()
        self.process = self.process or loop.process()
        if self.process is not None:
            if self.process.is_dead:
                raise KilledError
            self.process.threads[self] = None
        self.ident = loop.next_number()
        self._greenlet.parent = loop.hub
        loop.make_ready(self)

    def run(self) -> None:
        """Do its work; threading.Timer's differs."""
        target, args, named = self._work
        if target is not None:
            target(*args, **named)

    def is_alive(self) -> bool:
        return self.ident is not None and not self._is_over

    def join(self, timeout: float | None = None) -> None:
        loop = the_loop()
        me = loop.current()
        if self._is_over or me is None or loop.is_over:
            return
        self._joining.append(me)
        loop.park(math.inf if timeout is None else loop.now + timeout)

    def switch(self) -> None:
        """Let it run until it has to wait. For the hub."""
        self._greenlet.switch()

    def unwind(self) -> None:
        """Raise KilledError where it is. For the hub."""
        if self.is_alive():
            self.is_parked = False
            if self._has_begun:  # Otherwise it has not begun, and never will.
                self._greenlet.throw(KilledError)
            else:
                self._is_over = True

    def _begin(self) -> None:
        self._has_begun = True
        loop = the_loop()
        try:
            self.run()
        except KilledError:
            pass
        except BaseException as error:  # noqa: BLE001 (each is a finding)
            loop.crashed.append((self, error))
        self._is_over = True
        if self.process is not None:
            self.process.threads.pop(self, None)
        for each in self._joining:
            loop.wake(each)


class _Greenlet(greenlet.greenlet):  # type: ignore[misc]
    thread: Thread


class Timer(Thread):
    """Stands in for threading.Timer."""

    def __init__(self, interval: float, function: Callable[[], Any]) -> None:
        super().__init__(name="timer")
        self._interval_s = interval
        self._function = function
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True
        the_loop().wake(self)

    def run(self) -> None:
        loop = the_loop()
        loop.park(loop.now + self._interval_s)
        if not self._is_cancelled:
            self._function()


class Loop(Actor):
    """Lets threads run and time pass, in the one order that the seed gives."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(0, World())
        self.rng = rng
        self.hub = greenlet.getcurrent()
        self.crashed: list[tuple[Thread, BaseException]] = []
        self.is_over = False
        self.looks: list[Callable[[], None]] = []  # At what only the real kernel tells.
        self._ready: collections.deque[Thread] = collections.deque()
        self._numbers = 0

    @property
    def now(self) -> float:
        """The time in seconds since the simulation began."""
        return self.world.now

    @property
    def clock(self) -> float:
        """What a host's monotonic clock shows."""
        return BOOTED_S + self.world.now

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def current(self) -> Thread | None:
        """Return the thread that runs, None in the hub."""
        return getattr(greenlet.getcurrent(), "thread", None)

    def process(self) -> Process | None:
        """Return the process that runs, None in the hub and outside of all hosts."""
        thread = self.current()
        return None if thread is None else thread.process

    def make_ready(self, thread: Thread) -> None:
        self._ready.append(thread)

    def park(self, until: float = math.inf) -> bool:
        """Have the current thread wait for `wake`, or for a time; return whether it was woken."""
        thread = self.current()
        assert thread is not None, "the hub cannot wait"
        if thread.process is not None and thread.process.is_dead:
            raise KilledError
        thread.is_parked, thread.was_woken = True, False
        thread.ticket += 1
        if until < math.inf:
            self.at(until, self._ring, thread, thread.ticket)
        self.hub.switch()
        return thread.was_woken

    def wake(self, thread: Thread) -> None:
        """End the wait of a thread, if it waits."""
        if thread.is_parked:
            thread.is_parked, thread.was_woken = False, True
            self._ready.append(thread)

    def pass_time(self, seconds: float) -> None:
        """Have the current thread wait for so long."""
        self.park(self.now + seconds)

    def run(self, end: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Let time pass up to `end`, or until `is_over`."""
        while not is_over():
            self._run_ready()
            for look in self.looks:
                look()
            if self._ready:
                continue
            at = self.world.next_at
            if at >= end:
                self.world.now = end
                return
            self.world.run(math.nextafter(at, math.inf))

    def _run_ready(self) -> None:
        ready, turns = self._ready, 0
        while ready:
            thread = ready.popleft()
            process = thread.process
            if process is not None and process.is_dead:
                continue
            if process is not None and process.is_paused:
                process.freeze(thread)
                continue
            turns += 1
            if turns > MOST_TURNS:
                raise StuckError(f"{thread.name} and others run without end")
            thread.switch()

    def _ring(self, thread: Thread, ticket: int) -> None:
        if thread.is_parked and thread.ticket == ticket:
            thread.is_parked = False
            self._ready.append(thread)


_loops: list[Loop] = []


def the_loop() -> Loop:
    """Return the loop of the simulation that runs."""
    return _loops[-1]


def begin(loop: Loop) -> None:
    _loops[:] = [loop]

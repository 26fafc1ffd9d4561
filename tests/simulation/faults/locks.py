"""Stand-ins for the locks of `threading`: whoever has to wait lets the others run."""

import collections
import math

from tests.simulation.faults.threads import KilledError, Thread, the_loop


class Lock:
    """Given to those who wait in the order in which they came."""

    def __init__(self) -> None:
        self._is_held = False
        self._waiting: collections.deque[Thread] = collections.deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 (as threading has it)
        if not self._is_held:
            self._is_held = True
            return True
        if not blocking or timeout == 0:
            return False
        loop = the_loop()
        me = loop.current()
        assert me is not None, "the hub cannot wait"
        self._waiting.append(me)
        try:
            is_ours = loop.park(math.inf if timeout < 0 else loop.now + timeout)
        except KilledError:
            self._leave(me)
            raise
        if not is_ours:
            self._leave(me)
        return is_ours

    def release(self) -> None:
        loop_waiting = self._waiting
        while loop_waiting:
            thread = loop_waiting.popleft()
            if thread.is_parked:
                the_loop().wake(thread)
                return
        self._is_held = False

    def locked(self) -> bool:
        return self._is_held

    def _leave(self, thread: Thread) -> None:
        if thread in self._waiting:
            self._waiting.remove(thread)

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class RLock:
    """May be taken again by the thread that has it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: object = None
        self._count = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:  # noqa: FBT001, FBT002 (as threading has it)
        me = the_loop().current() or self
        if self._owner is me:
            self._count += 1
            return True
        if not self._lock.acquire(blocking, timeout):
            return False
        self._owner, self._count = me, 1
        return True

    def release(self) -> None:
        self._count -= 1
        if self._count == 0:
            self._owner = None
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    # What threading.Condition needs of it.

    def _is_owned(self) -> bool:
        return self._owner is (the_loop().current() or self)

    def _release_save(self) -> tuple[int, object]:
        saved = self._count, self._owner
        self._count, self._owner = 0, None
        self._lock.release()
        return saved

    def _acquire_restore(self, saved: tuple[int, object]) -> None:
        self._lock.acquire()
        self._count, self._owner = saved

"""Stands in for the store that trackers share, and for the network to it. The log is the model's.

What was sent may arrive although nobody waits for the answer any more, as TCP keeps it.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Generic, TypeVar

from shoal.broker.redis_link import ANSWER_TIMEOUT_S
from shoal.broker.stores import Exchanged, LostError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed

from tests.simulation.faults.connections import AGAIN_S, Net
from tests.simulation.faults.threads import Loop
from tests.simulation.trackers.store import Log, Reader

STORE = "store"
MOST_LATE_S = 20.0  # Then the kernel gives up what could not be sent.

T = TypeVar("T")


class StoreServer:
    """The machine that has the log."""

    def __init__(self, loop: Loop, net: Net, rng: Random) -> None:
        self.log = Log(loop)
        self.is_stopped = False  # It hangs: what comes waits.
        self.under_way = 0  # Exchanges with changes that may yet be appended.
        self.net = net
        self.loop = loop
        self.rng = rng


class Call(Generic[T]):
    """One question to the store, and its answer. For a thread of a tracker."""

    def __init__(
        self, server: StoreServer, host: str, act: Callable[[], T], *, appends: bool
    ) -> None:
        self._server = server
        self._host = host
        self._act = act
        self._appends = appends
        self._answers: list[T | Exception] = []
        self._is_awaited = True
        self._caller = server.loop.current()
        self._began = server.loop.now
        share, rng = server.log.lost_share, server.rng
        self._is_lost = [rng.random() < share for _ in range(2)]  # With its connection; each way.

    def answer(self) -> T:
        """Wait for the answer; raises NotSavedError if there is none."""
        server, loop = self._server, self._server.loop
        server.under_way += self._appends
        self._later(self._arrive)
        end = loop.now + ANSWER_TIMEOUT_S
        try:
            while not self._answers and loop.now < end:
                loop.park(end)
        finally:
            self._is_awaited = False
        if not self._answers:
            raise NotSavedError(f"it does not answer within {ANSWER_TIMEOUT_S:.3g} s")
        (found,) = self._answers
        if isinstance(found, Exception):
            raise found
        return found

    def _later(self, act: Callable[[], None]) -> None:
        server, places = self._server, self._server.net.places
        way_s = server.rng.uniform(*server.log.delay_s)
        way_s += places[self._host].latency_s + places[STORE].latency_s
        server.loop.at(server.loop.now + way_s, act)

    def _arrive(self) -> None:
        server, loop = self._server, self._server.loop
        if server.is_stopped or server.net.is_cut(self._host, STORE):
            if loop.now < self._began + MOST_LATE_S:
                loop.at(loop.now + AGAIN_S, self._arrive)
            else:
                server.under_way -= self._appends
            return
        server.under_way -= self._appends
        answer = self._carried_out()
        self._later(lambda: self._comes_back(answer))

    def _carried_out(self) -> T | Exception:
        if self._server.log.is_away:
            return NotSavedError("it refuses connections; is it running?")
        before, after = self._is_lost
        if before:
            return NotSavedError("it closed the connection")
        try:
            answer = self._act()
        except (LostError, NotSavedError) as error:
            return error
        return NotSavedError("it closed the connection") if after else answer

    def _comes_back(self, answer: T | Exception) -> None:
        server, loop = self._server, self._server.loop
        if not self._is_awaited:
            return
        if server.net.is_cut(STORE, self._host):
            loop.at(loop.now + AGAIN_S, self._comes_back, answer)
            return
        assert self._caller is not None
        self._answers.append(answer)
        self._is_awaited = False
        loop.wake(self._caller)


class SharedStore:
    """One tracker's access to it. A Store (broker.stores)."""

    is_shared = True

    def __init__(self, server: StoreServer, host: str, who: str) -> None:
        """`who` is another one after each start."""
        self.reader = Reader(server.log, who)
        self._server = server
        self._host = host
        self._trouble = ""

    def load(self) -> Sequence[Change]:
        return self.reader.loaded(self._asked(self._server.log.read, appends=False))

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        request = self.reader.request(changes, renewed)
        carry_out, appends = self._server.log.carry_out, bool(request.changes)
        reply = self._asked(lambda: carry_out(request), appends=appends)
        return self.reader.taken(reply, len(changes))

    def trouble(self) -> str:
        return self._trouble

    def close(self) -> None: ...

    def _asked(self, act: Callable[[], T], *, appends: bool) -> T:
        try:
            answer = Call(self._server, self._host, act, appends=appends).answer()
        except (LostError, NotSavedError) as error:
            self._trouble = str(error)
            raise
        self._trouble = ""
        return answer

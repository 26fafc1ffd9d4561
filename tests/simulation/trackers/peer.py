"""One tracker: the real machine and the real saver, in rounds as the server has them."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from shoal.broker.settings import ServerSettings
from shoal.broker.shared_saver import SharedSaver
from shoal.broker.tracking.changes import Change
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Ok, Told, TrackerReply, TrackerRequest
from shoal.protocol.permits import Asker

from tests.simulation.trackers.access import Access
from tests.simulation.trackers.store import Log
from tests.simulation.trackers.world import World

SETTINGS = ServerSettings(exchange_every_s=1.0, away_after_s=1.5)
ASKER = Asker("127.0.0.1")
NOT_SAVED = Error(WireCode.NOT_SAVED, "not saved")
Answer = Callable[[TrackerReply], None]


class Said(NamedTuple):
    """A request, and what became of it."""

    request: TrackerRequest
    told: dict[tuple[str, str], Told]  # Of names and ids.


class Peer:
    """A tracker's process."""

    def __init__(
        self, world: World, name: str, log: Log, initial: Initial, settings: TrackerSettings
    ) -> None:
        self.name = name
        self.is_up = False
        self.paused_until = 0.0
        self.origins: dict[int, Said] = {}  # By change, which stay alive as the log has them.
        self._kept: list[Change] = []
        self._world = world
        self._log = log
        self._told = initial, settings
        self._starts = 0
        self._inbox: deque[tuple[TrackerRequest, Answer]] = deque()
        self._is_busy = False
        self._turns_at = float("inf")
        self.start()

    def start(self) -> None:
        self._starts += 1
        who = f"{self.name}.{self._starts}"
        self.access = Access(self._world, self._log, who)
        rng, token_rng = Random(self._world.rng.random()), Random(self._world.rng.random())
        initial, settings = self._told
        log = self.access.reader.loaded(self._log.read())
        told = initial, rng, self._world.now, log, settings, token_rng
        self.tracker = Tracker(*told, shares=True)
        tracker = self.tracker
        self.access.fold = lambda log: tracker.folded(log, self._world.now)
        self.saver = SharedSaver(self.access, self.tracker, SETTINGS, self._world.clock)
        self.is_up = True
        self._is_busy = False
        self._turn_soon(0.0)

    def kill(self) -> None:
        self.is_up = False
        self._starts += 1
        self._inbox.clear()

    def ask(self, request: TrackerRequest, answer: Answer) -> None:
        if self.is_up:
            self._inbox.append((request, answer))
            self._turn_soon(0.0)

    def is_even(self) -> bool:
        """Say whether it knows what the log has, and the log what it knows."""
        counts, tracker = self.saver.counts(), self.tracker
        return not (
            not self.is_up
            or any((counts["unsaved_changes"], counts["store_away"], tracker._changes))
            or self.access.has_more
            or tracker._sharing.unconfirmed_count
        )

    def _turn_soon(self, delay_s: float) -> None:
        at = self._world.now + delay_s
        if at < self._turns_at:
            self._turns_at = at
            self._world.after(delay_s, self._turn)

    def _turn(self) -> None:
        world = self._world
        if world.now < self._turns_at:
            return
        self._turns_at = float("inf")
        if self._is_busy or not self.is_up:
            return
        if world.now < self.paused_until:
            self._turn_soon(self.paused_until - world.now + 1e-6)
            return
        self._is_busy = True
        start = self._starts
        self._round(start)
        if start == self._starts:
            self._is_busy = False
            times = (self.tracker.deadline, self.saver.deadline(), world.now + 1.0)
            due = min(time for time in times if time is not None)
            self._turn_soon(0.0 if self._inbox else max(0.001, due - world.now))

    def _round(self, start: int) -> None:
        now = self._world.now
        self.saver.catch_up(now)
        if start != self._starts:
            return
        changes = list(self.tracker.expire(now).changes)
        replies = []
        while self._inbox:
            request, answer = self._inbox.popleft()
            outcome = self.tracker.handle(request, now, ASKER)
            told = outcome.reply.told if isinstance(outcome.reply, Ok) else ()
            said = Said(request, {(one.name, one.id): one for one in told})
            self.origins |= dict.fromkeys(map(id, outcome.changes), said)
            changes += outcome.changes
            replies.append((answer, outcome.reply, outcome.promises))
        self._kept += changes
        is_saved = self.saver.save(changes, now)
        while self._world.now < self.paused_until and start == self._starts:
            self._world.run(self.paused_until)
        if start == self._starts:
            for answer, reply, promises in replies:
                answer(reply if is_saved or not promises else NOT_SAVED)

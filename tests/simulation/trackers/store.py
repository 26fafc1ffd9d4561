"""A model of the store: batches are appended whole, in one order. It can lose the last ones."""

from collections.abc import Sequence
from typing import NamedTuple

from shoal.broker.exchanges import Fold, Job, Result
from shoal.broker.stores import Exchanged, LostError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed, aged
from shoal.broker.tracking.dump import dump
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State

from tests.simulation.trackers.world import World

TIMEOUT_S = 3.0
REFUSED_S = 0.005


class Batch(NamedTuple):
    """One entry of the log."""

    at: float
    tracker: str  # And which of its starts.
    number: int
    changes: tuple[Change, ...]


class Log:
    """What the store has, and how it is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.batches: list[Batch] = []
        self.renewed: list[tuple[str, Renewed]] = []
        self.generation = 0
        self.is_away = False
        self.delay_s = (0.0002, 0.002)  # To the store, and the same back.
        self.lost_share = 0.0  # Of messages, each way.

    def lose(self, count: int) -> None:
        """Fail over to a replica that has not got the last batches."""
        if count:
            del self.batches[-count:]
        self.generation += 1

    def changes(self, batches: Sequence[Batch]) -> list[Change]:
        now = self.world.now
        return [aged(change, int(now - each.at)) for each in batches for change in each.changes]

    def whole(self) -> list[Change]:
        """Return the log as a tracker reads it that starts: sometimes from a snapshot."""
        cut = self.world.rng.randrange(len(self.batches) + 1) if self.batches else 0
        early = State(Initial(""), TrackerSettings())
        early.replay(self.changes(self.batches[:cut]), self.world.now)
        return [*dump(early, self.world.now), *self.changes(self.batches[cut:])]


class Access:
    """One start of a tracker, and its connection to the store."""

    fold: Fold

    def __init__(self, log: Log, who: str) -> None:
        self.is_cut = False
        self.results: list[Result] = []
        self._log = log
        self._who = who
        self._number = self._place = self._heard = 0
        self._generation = log.generation
        self._sent: tuple[Change, ...] = ()

    @property
    def has_more(self) -> bool:
        """Whether there is something that the tracker has not read."""
        is_elsewhere = self._generation != self._log.generation
        is_news = any(not isinstance(one, Exchanged) or one.others for one in self.results)
        return is_news or is_elsewhere or self._place < len(self._log.batches)

    def load(self) -> list[Change]:
        """Return the log, and go on where it ends."""
        self._sent = ()
        self._number += 1  # The last batch may have been appended all the same.
        self._place, self._heard = len(self._log.batches), len(self._log.renewed)
        self._generation = self._log.generation
        return self._log.whole()

    def take(self, job: Job) -> None:
        """Send a job to the store; whatever is lost on the way, there will be a result."""
        world, log = self._log.world, self._log
        if not job.loads:
            if self._sent and job.changes[: len(self._sent)] != self._sent:
                return world.after(0.0, lambda: self._has(LostError("given up")))
            self._sent = self._sent or tuple(job.changes)
        lost = [world.rng.random() < log.lost_share for _ in range(2)]
        there_s, back_s = (world.rng.uniform(*log.delay_s) for _ in range(2))

        def arrive() -> None:
            if log.is_away or self.is_cut:
                world.after(REFUSED_S, lambda: self._has(NotSavedError("connection refused")))
            elif lost[0]:
                world.after(TIMEOUT_S, lambda: self._has(NotSavedError("timed out")))
            else:
                self._carry_out(job, back_s, is_heard=not lost[1])

        world.after(there_s, arrive)
        return None

    def result(self, patience_s: float) -> Result | None:
        """Return what has come of the last job, if that is known in time."""
        world = self._log.world
        if patience_s > 0:
            world.run(world.now + patience_s, lambda: bool(self.results))
        return self.results.pop(0) if self.results else None

    def close(self) -> None: ...

    def _has(self, result: Result) -> None:
        self.results.append(result)

    def _carry_out(self, job: Job, back_s: float, *, is_heard: bool) -> None:
        """Do what the store does at once, and let the tracker know of it later."""
        log, world = self._log, self._log.world
        if job.loads:
            folded = self.fold(self.load())
            return world.after(back_s, lambda: self._has(folded))
        if self._generation != log.generation:
            return world.after(back_s, lambda: self._has(LostError("failed over")))
        number = self._number + 1
        key = self._who, number
        ours = [nth for nth, each in enumerate(log.batches) if (each.tracker, each.number) == key]
        if self._sent and not ours:
            log.batches.append(Batch(world.now, *key, self._sent))
            ours = [len(log.batches) - 1]
        end = ours[0] if ours else len(log.batches)
        others = log.changes(log.batches[self._place : end])
        heard = [one for who, one in log.renewed[self._heard :] if who != self._who]
        place, heard_place = end + bool(ours), len(log.renewed)
        log.renewed += ((self._who, one) for one in job.renewed)
        unsaved = len(job.changes) - len(self._sent)

        def reply() -> None:
            self._place, self._heard, self._sent = place, heard_place, ()
            self._number += bool(ours)
            self._has(Exchanged(others, heard, unsaved))

        if is_heard:
            return world.after(back_s, reply)
        return world.after(TIMEOUT_S, lambda: self._has(NotSavedError("timed out")))

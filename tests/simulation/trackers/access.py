"""A tracker's way to the store: messages take time, and are lost."""

from shoal.broker.exchanges import Fold, Job, Result
from shoal.broker.stores import Exchanged, LostError, NotSavedError

from tests.simulation.trackers.store import Log, Reader, Request
from tests.simulation.trackers.world import World

TIMEOUT_S = 3.0
REFUSED_S = 0.005


class Access:
    """One start of a tracker, and its connection to the store."""

    fold: Fold

    def __init__(self, world: World, log: Log, who: str) -> None:
        self.is_cut = False
        self.results: list[Result] = []
        self.reader = Reader(log, who)
        self._world = world
        self._log = log

    @property
    def has_more(self) -> bool:
        """Whether there is something that the tracker has not read."""
        is_news = any(not isinstance(one, Exchanged) or one.others for one in self.results)
        return is_news or not self.reader.is_at_end

    def take(self, job: Job) -> None:
        """Send a job to the store; whatever is lost on the way, there will be a result."""
        world, log = self._world, self._log
        try:
            request = None if job.loads else self.reader.request(job.changes, job.renewed)
        except LostError as error:
            return self._later(0.0, error)
        lost = [world.rng.random() < log.lost_share for _ in range(2)]
        there_s, back_s = (world.rng.uniform(*log.delay_s) for _ in range(2))

        def arrive() -> None:
            if log.is_away or self.is_cut:
                self._later(REFUSED_S, NotSavedError("connection refused"))
            elif lost[0]:
                self._later(TIMEOUT_S, NotSavedError("timed out"))
            elif request is None:
                self._later(back_s, self.fold(self.reader.loaded(log.read())))
            else:
                self._carry_out(request, len(job.changes), back_s, is_heard=not lost[1])

        world.after(there_s, arrive)
        return None

    def result(self, patience_s: float) -> Result | None:
        """Return what has come of the last job, if that is known in time."""
        world = self._world
        if patience_s > 0:
            world.run(world.now + patience_s, lambda: bool(self.results))
        return self.results.pop(0) if self.results else None

    def close(self) -> None: ...

    def _later(self, delay_s: float, result: Result) -> None:
        self._world.after(delay_s, lambda: self.results.append(result))

    def _carry_out(self, request: Request, given: int, back_s: float, *, is_heard: bool) -> None:
        """Do what the store does at once, and let the tracker know of it later."""
        try:
            reply = self._log.carry_out(request)
        except (LostError, NotSavedError) as error:
            return self._later(back_s, error)
        if not is_heard:
            return self._later(TIMEOUT_S, NotSavedError("timed out"))
        return self._world.after(
            back_s, lambda: self.results.append(self.reader.taken(reply, given))
        )

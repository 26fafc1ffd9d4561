"""Several trackers on one log, each in a scene; they exchange when a test says so."""

from collections.abc import Sequence

from shoal.broker.tracking.changes import Change, Renewed, aged
from shoal.broker.tracking.tracker import Tracker

from tests.unit.broker.scene import EXAMPLE, Scene
from tests.unit.broker.states import replayed, shown_timeless


class SharedLog:
    """A store that is always there."""

    def __init__(self) -> None:
        self.log: list[tuple[float, Change]] = []
        self.peers: list[SharingScene] = []

    def assert_agreed(self) -> None:
        """Assert that all trackers know what the log says, once all have it."""
        for _ in range(2):
            for peer in self.peers:
                peer.exchange()
        said = shown_timeless(replayed(self.peers[0], self.log))
        for peer in self.peers:
            assert shown_timeless(peer.tracker._state) == said


class SharingScene(Scene):
    """One of the trackers."""

    def __init__(self, shared: SharedLog, *, accepts_pushes: bool = True) -> None:
        self.shared = shared
        self._read = 0
        self._sent = 0
        self.heard: list[Renewed] = []
        super().__init__(EXAMPLE, accepts_pushes=accepts_pushes)
        shared.peers.append(self)

    def _started(self) -> Tracker:
        self._starts += 1
        self._read = len(self.shared.log)
        log = [aged(change, int(self.now - at)) for at, change in self.shared.log]
        given = self.initial, self._rng(), self.now, log, self.settings, self._token_rng
        return Tracker(*given, shares=True)

    def exchange(self) -> tuple[str, ...]:
        """Append what was decided here, and take in what others appended before."""
        self.expire()
        log, own = self.shared.log, self.log[self._sent :]
        others = [change for _, change in log[self._read :]]
        log += own
        self._read, self._sent = len(log), len(self.log)
        for peer in self.shared.peers:
            if peer is not self:
                peer.heard += self.tracker.taken_renewed()
        notified = self.tracker.absorb(others, len(own), self.now)
        self.tracker.hear(self.heard, self.now)
        self.heard.clear()
        return notified

    def reload(self, log: Sequence[tuple[float, Change]]) -> None:
        """Go by a log that has lost something."""
        self._sent = len(self.log)
        self._read = len(log)
        aged_log = [aged(change, int(self.now - at)) for at, change in log]
        self.tracker.reload(self.tracker.folded(aged_log, self.now), self.now)
        self.expire()


def trackers(count: int = 2) -> list[SharingScene]:
    """Return trackers on one log."""
    shared = SharedLog()
    return [SharingScene(shared) for _ in range(count)]

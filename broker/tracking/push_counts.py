"""How far pushes are, as numbers. Decides nothing."""

from collections.abc import Mapping

from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.events import PushReached
from shoal.broker.tracking.state import State
from shoal.broker.tracking.wishes import Wanted

LOOKS = 20_000  # At nodes, each time it is asked: a millisecond. The rest is as of an earlier time.


QUARTERS = 4  # So many lines does the log have of a push on its way, however many nodes it has.


def reached(state: State, version: Version, node: str) -> PushReached | None:
    """Return what a push has reached as a node holds a version now; None if that is no news."""
    wanted = state.wishes.find(version.name)
    if wanted is None or wanted.id != version.id:
        return None
    meant = state.initial.meant(wanted.to)
    if node not in meant:
        return None
    count, have = len(meant), len(meant.keys() & version.whole.keys())
    if have * QUARTERS // count == (have - 1) * QUARTERS // count:
        return None
    return PushReached(version.name, have, count)


class PushCounts:
    """Counts bit by bit: 1000 pushes to 20,000 nodes would take a second."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._counted: dict[str, tuple[int, int]] = {}
        self._after = ""

    def read(self) -> tuple[int, int]:
        """Return how many copies are wanted, and how many of those there are."""
        wishes = self._state.wishes
        for name in [name for name in self._counted if wishes.find(name) is None]:
            del self._counted[name]
        looks = LOOKS
        for wanted in wishes.after(self._after):
            if looks <= 0:
                break
            counts = self._counted[wanted.name] = self._count(wanted)
            looks -= counts[0] + 1
            self._after = wanted.name
        else:
            self._after = ""  # From the beginning, the next time.
        every = self._counted.values()
        return sum(wanted for wanted, _ in every), sum(have for _, have in every)

    def _count(self, wanted: Wanted) -> tuple[int, int]:
        meant = self._state.initial.meant(wanted.to)
        version = self._state.catalogue.find(wanted.name, wanted.id)
        whole: Mapping[str, None] = {} if version is None else version.whole
        return len(meant), len(meant.keys() & whole.keys())

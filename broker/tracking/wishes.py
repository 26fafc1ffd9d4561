"""What nodes shall hold: the pushes. Only `State.apply` calls the methods that change something."""

import bisect
import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shoal.broker.tracking.changes import Unwished, Wished
from shoal.protocol.pushing import Target


@dataclass(frozen=True, slots=True)
class Wanted:
    """One push. `since` is on the tracker's clock."""

    name: str
    id: str
    size_bytes: int
    to: Target
    since: float

    def means(self, node: str, zone: str | None) -> bool:
        """Say whether a node of the cluster file shall hold it."""
        if not self.to.nodes and not self.to.zones:
            return True
        return node in self.to.nodes or (zone is not None and zone in self.to.zones)


MOST_ENDED = 1000


class Wishes:
    """All pushes, by name, and when the last ones ended."""

    def __init__(self, first_revision: int) -> None:
        """Begin with a revision that no other process of this tracker is likely to have had."""
        self._revision = first_revision
        self._by_name: dict[str, Wanted] = {}
        self._sorted_names: list[str] = []
        self._ended: OrderedDict[str, float] = OrderedDict()
        self._counts: dict[str, int] = {}  # Of changes, by name.

    @property
    def revision(self) -> int:
        """A number that changes with the wishes; 0 if there are none."""
        return self._revision if self._by_name else 0

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, name: str) -> Wanted | None:
        return self._by_name.get(name)

    def after(self, name: str) -> Iterator[Wanted]:
        """Yield those whose names sort after `name`, in order."""
        for index in range(bisect.bisect_right(self._sorted_names, name), len(self._sorted_names)):
            yield self._by_name[self._sorted_names[index]]

    def ended(self) -> dict[str, float]:
        """Return the names of pushes that have ended, and when."""
        return dict(self._ended)

    def count(self, name: str) -> int:
        """Return how often something was wished or ended under a name, as far as is known."""
        return self._counts.get(name, 0)

    def before(self, name: str) -> Callable[[], None]:
        """Return what makes the push of a name what it is now, after one change of it."""
        return functools.partial(
            self._put, name, self.find(name), self._ended.get(name), self.count(name)
        )

    def succeed(self, earlier: "Wishes") -> None:
        """Take the place of other wishes, with the next revision."""
        self._revision = earlier._revision + 1  # noqa: SLF001 (of the same kind)

    def mean_others(self) -> None:
        """Note that other nodes may be meant, as the cluster file has changed."""
        self._revision += 1

    def apply(self, change: Wished | Unwished, now: float) -> None:
        """Note a push, instead of an earlier one of the same name; or that there is none."""
        name, at = change.name, now - change.age_s
        count = change.again or self.count(name) + 1
        if count <= self.count(name):
            return
        if isinstance(change, Wished):
            known, to = self.find(name), Target(change.nodes, change.zones)
            if known is not None and (known.id, known.to) == (change.id, to):
                at = known.since  # It goes on.
            self._put(name, Wanted(name, change.id, change.size_bytes, to, at), None, count)
        else:
            self._put(name, None, at, count)

    def _put(self, name: str, wanted: Wanted | None, ended: float | None, count: int) -> None:
        before = self._by_name.pop(name, None)
        if before is not None:
            del self._sorted_names[bisect.bisect_left(self._sorted_names, name)]
        if wanted is not None:
            bisect.insort(self._sorted_names, name)
            self._by_name[name] = wanted
        self._counts[name] = count
        self._ended.pop(name, None)
        if ended is not None:
            self._ended[name] = ended
            if len(self._ended) > MOST_ENDED:
                del self._counts[self._ended.popitem(last=False)[0]]
        self._revision += wanted != before

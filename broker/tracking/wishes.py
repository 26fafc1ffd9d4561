"""What nodes shall hold: the pushes. Only `State.apply` calls the methods that change something."""

import bisect
from collections.abc import Iterator
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


class Wishes:
    """All pushes, by name."""

    def __init__(self, first_revision: int) -> None:
        """Begin with a revision that no other process of this tracker is likely to have had."""
        self._revision = first_revision
        self._by_name: dict[str, Wanted] = {}
        self._sorted_names: list[str] = []

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

    def mean_others(self) -> None:
        """Note that other nodes may be meant, as the cluster file has changed."""
        self._revision += 1

    def apply(self, change: Wished | Unwished, now: float) -> None:
        """Note a push, instead of an earlier one of the same name; or that there is none."""
        name = change.name
        if isinstance(change, Wished):
            if name not in self._by_name:
                bisect.insort(self._sorted_names, name)
            to, since = Target(change.nodes, change.zones), now - change.age_s
            self._by_name[name] = Wanted(name, change.id, change.size_bytes, to, since)
        elif self._by_name.pop(name, None) is not None:
            del self._sorted_names[bisect.bisect_left(self._sorted_names, name)]
        self._revision += 1

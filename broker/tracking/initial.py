"""What the cluster file says about nodes and holdings. It counts until the nodes speak.

Does not read the file.
"""

import bisect
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InitialNode:
    """A node of the cluster file."""

    address: str
    zone: str | None = None


@dataclass(frozen=True)
class Initial:
    """The contents of the cluster file. Every node in `holdings` is one of `nodes`."""

    address: str  # the tracker's own
    nodes: Mapping[str, InitialNode] = field(default_factory=dict)
    holdings: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by name: nodes

    def neighbours(self, node: str | None) -> Mapping[str, None]:
        """Return the nodes in the zone of `node`, including itself; none if it has no zone."""
        entry = self.nodes.get(node) if node is not None else None
        return self._zones[entry.zone] if entry and entry.zone else {}

    @functools.cached_property
    def _zones(self) -> dict[str, dict[str, None]]:
        zones: dict[str, dict[str, None]] = {}
        zoned = ((node, entry.zone) for node, entry in self.nodes.items() if entry.zone)
        for node, zone in zoned:
            zones.setdefault(zone, {})[node] = None
        return zones


class InitialHoldings:
    """The holdings of the cluster file that still count. Only `State.apply` changes them."""

    def __init__(self, initial: Initial) -> None:
        self._nodes = initial.nodes
        self._holders = {name: dict.fromkeys(nodes) for name, nodes in initial.holdings.items()}
        self._names: dict[str, dict[str, None]] = {}  # by node
        for name, nodes in sorted(initial.holdings.items()):
            for node in nodes:
                self._names.setdefault(node, {})[name] = None
        self._sorted_names = sorted(self._holders)

    def holders(self, name: str) -> list[tuple[str, str]]:
        """Return node and address of the holders of `name`."""
        return [(node, self._nodes[node].address) for node in self._holders.get(name, ())]

    def count(self, node: str) -> int:
        return len(self._names.get(node, ()))

    def names_after(self, after: str) -> Iterator[str]:
        """Yield the names that are held and sort after `after`, in order."""
        for index in range(bisect.bisect_right(self._sorted_names, after), len(self._sorted_names)):
            if self._holders[self._sorted_names[index]]:
                yield self._sorted_names[index]

    def is_holder(self, name: str, node: str) -> bool:
        return node in self._holders.get(name, ())

    def disown(self, name: str, node: str) -> None:
        """Remove `node` from the holders of `name`."""
        if self.is_holder(name, node):
            del self._holders[name][node]
            del self._names[node][name]

    def supersede(self, node: str) -> None:
        """Remove `node` from all lists: from now on its own announcements count."""
        for name in self._names.pop(node, ()):
            del self._holders[name][node]

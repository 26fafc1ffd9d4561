"""What the cluster file says about nodes and holdings. It counts until the nodes speak.

Does not read the file.
"""

import bisect
import functools
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from shoal.protocol import addresses
from shoal.protocol.permits import Publish
from shoal.protocol.pushing import Target

Resolve = Callable[[str], Collection[str]]  # A host's addresses, as far as they are known now.


def numbers_alone(host: str) -> Collection[str]:
    """Return the address that a host is by its text; none if it is a name."""
    return () if addresses.ip(host) is None else (host,)


@dataclass(frozen=True, slots=True)
class InitialNode:
    """A node of the cluster file."""

    address: str
    zone: str | None = None
    listen_host: str = ""  # From which it speaks, too, behind NAT; empty if that is not known.


@dataclass(frozen=True)
class Initial:
    """The contents of the cluster file. Every node in `holdings` is one of `nodes`.

    `resolve` knows the addresses of the hosts that the file names.
    """

    address: str  # this tracker's own
    nodes: Mapping[str, InitialNode] = field(default_factory=dict)
    holdings: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by name: nodes
    publish: Publish = Publish.MEMBERS
    resolve: Resolve = numbers_alone
    accepts_pushes: bool = False  # Without keys; with keys, admins push.
    cluster_up: int | None = None  # What all nodes may send together, in bytes/s.
    others: Sequence[str] = ()  # The addresses of the other trackers.

    def neighbours(self, node: str | None) -> Mapping[str, None]:
        """Return the nodes in the zone of `node`, including itself; none if it has no zone."""
        entry = self.nodes.get(node) if node is not None else None
        return self._zones[entry.zone] if entry and entry.zone else {}

    def zone(self, name: str) -> Mapping[str, None]:
        """Return the nodes in a zone."""
        return self._zones.get(name, {})

    def meant(self, to: Target) -> Mapping[str, object]:
        """Return the nodes that a push is meant for, once each."""
        if not to.nodes and not to.zones:
            return self.nodes
        named = (node for node in to.nodes if node in self.nodes)
        zoned = itertools.chain.from_iterable(map(self.zone, to.zones))
        return dict.fromkeys(itertools.chain(named, zoned))

    @functools.cached_property
    def _zones(self) -> dict[str, dict[str, None]]:
        zones: dict[str, dict[str, None]] = {}
        zoned = ((node, entry.zone) for node, entry in self.nodes.items() if entry.zone)
        for node, zone in zoned:
            zones.setdefault(zone, {})[node] = None
        return zones


class InitialHoldings:
    """The holdings of the cluster file that still count. Only `State.apply` changes them."""

    def __init__(
        self, nodes: Mapping[str, InitialNode], by_name: Mapping[str, Sequence[str]]
    ) -> None:
        self._nodes = nodes
        self._by_name = by_name  # As the file has them.
        self._holders = {name: dict.fromkeys(holders) for name, holders in by_name.items()}
        self._listed: dict[str, list[str]] = {}  # By node: names, as the file has them.
        for name, holders in sorted(by_name.items()):
            for node in holders:
                self._listed.setdefault(node, []).append(name)
        self._names = {node: dict.fromkeys(names) for node, names in self._listed.items()}
        self._sorted_names = sorted(self._holders)
        self._disowned: dict[tuple[str, str], None] = {}  # Listed here or not.

    def learn(self, nodes: Mapping[str, InitialNode]) -> None:
        """Go by other nodes; those that are gone hold nothing any more."""
        for node in [node for node in self._listed if node not in nodes]:
            self.supersede(node)
            del self._listed[node]
        self._nodes = nodes

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
        self._disowned[name, node] = None
        if self.is_holder(name, node):
            del self._holders[name][node]
            del self._names[node][name]

    def supersede(self, node: str) -> None:
        """Remove `node` from all lists: from now on its own announcements count."""
        for name in self._names.pop(node, ()):
            del self._holders[name][node]

    def reinstate(self, node: str) -> None:
        """Have the file's lists count for a node that has not spoken, or is forgotten."""
        if node in self._listed:
            self._names[node] = {}
            for name in self._listed[node]:
                self._hold(name, node)

    def successor(self) -> "InitialHoldings":
        """Return the same of which nothing has been said yet: all of the file counts."""
        listed, by_name = dict(self._listed), self._by_name.items()
        holdings = {name: [node for node in nodes if node in listed] for name, nodes in by_name}
        return InitialHoldings(self._nodes, holdings)

    @property
    def disowned(self) -> Collection[tuple[str, str]]:
        """Each name that a node was found not to hold, with the node."""
        return self._disowned

    def own_again(self, name: str, node: str) -> None:
        """Forget that a node was found not to hold something."""
        del self._disowned[name, node]
        if name in self._listed.get(node, ()) and node in self._names:
            self._hold(name, node)

    def _hold(self, name: str, node: str) -> None:
        if (name, node) not in self._disowned:
            self._names[node][name] = self._holders[name][node] = None

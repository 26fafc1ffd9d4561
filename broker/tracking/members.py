"""The nodes that have spoken: where they are, how far their updates went, whether they are alive.

Knows nothing of what they hold. Only `State.apply` calls the methods that change something.
"""

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass

from shoal.broker.tracking.changes import Gone, Seen


@dataclass(slots=True, eq=False)
class Member:
    """A node that has spoken, and what it said last."""

    node: str
    address: str
    epoch: int
    sequence: int
    left: bool = False
    silent_since: float | None = None  # None: its lease is running
    last_seen: float | None = None  # None: not since this process was started

    @property
    def has_lease(self) -> bool:
        """Whether it may renew. It need not have done so since this process was started."""
        return self.silent_since is None

    @property
    def is_alive(self) -> bool:
        """Whether it has renewed its lease in time, with this process."""
        return self.silent_since is None and self.last_seen is not None


class Members:
    """All nodes that have ever spoken. Those in `kept` are not forgotten when they are silent."""

    def __init__(self, lease_s: float, forget_s: float, kept: Container[str]) -> None:
        self.by_node: dict[str, Member] = {}
        self._leases = _Deadlines(lease_s)
        self._silences = _Deadlines(forget_s)
        self._kept = kept

    def find(self, node: str) -> Member | None:
        return self.by_node.get(node)

    def has_lease(self, node: str) -> bool:
        member = self.by_node.get(node)
        return member is not None and member.silent_since is None

    @property
    def deadline(self) -> float | None:
        """When the next lease runs out, or the next node is to be forgotten."""
        times = self._leases.first, self._silences.first
        return min((time for time in times if time is not None), default=None)

    def overdue(self, now: float) -> Member | None:
        """Return a node whose lease has run out."""
        node = self._leases.due(now)
        return None if node is None else self.by_node[node]

    def forgettable(self, now: float) -> Member | None:
        """Return a node that has been silent for long enough to be forgotten."""
        node = self._silences.due(now)
        return None if node is None else self.by_node[node]

    def see(self, seen: Seen, now: float) -> None:
        """Note where a node is. It gets a lease, in which to speak to this process too."""
        member = self.by_node.get(seen.node)
        if member is None:
            member = Member(seen.node, seen.address, seen.epoch, seen.sequence)
            self.by_node[seen.node] = member
        member.address, member.epoch, member.sequence = seen.address, seen.epoch, seen.sequence
        member.left, member.silent_since = False, None
        self._silences.end(member.node)
        self._leases.begin(member.node, now)

    def renew(self, node: str, now: float) -> None:
        member = self.by_node[node]
        member.last_seen = now
        self._leases.begin(member.node, now)

    def lose(self, gone: Gone, now: float) -> None:
        """Note that a node has left or fallen silent, if it is known."""
        member = self.by_node.get(gone.node)
        if member is None:
            return
        member.left, member.silent_since = gone.left, now - gone.silent_s
        self._leases.end(member.node)
        if member.node not in self._kept:
            self._silences.begin(member.node, member.silent_since)

    def forget(self, node: str) -> None:
        if self.by_node.pop(node, None) is not None:
            self._leases.end(node)
            self._silences.end(node)


class _Deadlines:
    """Equally long spans of time, which end in the order in which they begin.

    If one is begun out of order, it ends together with the one before it.
    """

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._ends: OrderedDict[str, float] = OrderedDict()

    @property
    def first(self) -> float | None:
        return next(iter(self._ends.values()), None)

    def due(self, now: float) -> str | None:
        """Return a node whose span is over."""
        for node, end in self._ends.items():
            return node if end <= now else None
        return None

    def begin(self, node: str, at: float) -> None:
        self._ends[node] = at + self._span_s
        self._ends.move_to_end(node)

    def end(self, node: str) -> None:
        self._ends.pop(node, None)

"""The nodes that have spoken: where they are, how far their updates went, whether they are alive.

Knows nothing of what they hold. Only `State.apply` calls the methods that change something.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from shoal.broker.tracking.changes import Gone, Offered, Seen
from shoal.broker.tracking.tokens import NO_TOKENS, Tokens
from shoal.protocol import addresses
from shoal.protocol.pushing import Doing


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
    tokens: Tokens = NO_TOKENS
    doing: Doing | None = None  # As it said with its last renewal.
    has_gap: bool = False  # An update before its last one is not in the log, or never came.
    is_behind: bool = False  # The log's last word of it is older than what was known before.

    @property
    def has_lease(self) -> bool:
        """Whether it may renew. It need not have done so since this process was started."""
        return self.silent_since is None

    @property
    def is_alive(self) -> bool:
        """Whether it has renewed its lease in time, with this process."""
        return self.silent_since is None and self.last_seen is not None


class _Before(NamedTuple):
    """What the log said of a node, and what it was doing when that changed."""

    address: str
    epoch: int
    sequence: int
    left: bool
    silent_since: float | None
    tokens: Tokens
    doing: Doing | None
    lease_end: float | None
    is_behind: bool
    has_gap: bool


class Members:
    """All nodes that have ever spoken. Those in `kept` are not forgotten when they are silent."""

    def __init__(self, lease_s: float, forget_s: float, kept: Container[str]) -> None:
        self.by_node: dict[str, Member] = {}
        self._leases = _Deadlines(lease_s)
        self._silences = _Deadlines(forget_s)
        self._kept = kept
        self._strangers: dict[str, dict[str, None]] = {}  # By host; in the order of joining.
        self._all_strangers: dict[str, None] = {}
        self._crowded: dict[str, None] = {}  # Hosts that may have too many.
        self._aside: dict[str, Member] = {}  # Not known just now, as changes are taken back.

    def learn(self, kept: Container[str]) -> None:
        """Have other nodes not be forgotten."""
        for member in self.by_node.values():
            self._unplace(member)
        self._kept = kept
        for member in self.by_node.values():
            self._place(member)
            if member.node in kept:
                self._silences.end(member.node)
            elif member.silent_since is not None:
                self._silences.begin(member.node, member.silent_since)

    def find(self, node: str) -> Member | None:
        return self.by_node.get(node)

    def has_lease(self, node: str) -> bool:
        member = self.by_node.get(node)
        return member is not None and member.silent_since is None

    def is_behind(self, node: str) -> bool:
        """Return whether the log's last word of a node came late, and so whatever follows it."""
        member = self.by_node.get(node)
        return member is not None and member.is_behind

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

    def strangers_at(self, address: str) -> Mapping[str, None]:
        """Return the nodes at the host of an address that are not kept, the eldest first."""
        return self._strangers.get(_host_of(address), {})

    def crowded_host(self, most: int) -> str | None:
        """Return a host with more than `most` nodes that are not kept; None if there is none."""
        while self._crowded:
            host = next(iter(self._crowded))
            if len(self._strangers.get(host, ())) > most:
                return host
            del self._crowded[host]
        return None

    def first_stranger_of(self, host: str) -> Member:
        """Return the node of a host that is to be forgotten first: a silent one, else the last."""
        strangers = self._strangers[host]
        silent = (node for node in strangers if not self.has_lease(node))
        return self.by_node[next(silent, next(reversed(strangers)))]

    def stranger_to_forget(self, besides: str, *, also_live: bool) -> Member | None:
        """Return the node that has been silent for longest and is not kept.

        If there is none, the one that joined last if `also_live`, else None.
        """
        for node in self._silences.in_order():
            if node != besides:
                return self.by_node[node]
        last = next(reversed(self._all_strangers), None) if also_live else None
        return None if last is None else self.by_node[last]

    def see(self, seen: Seen, now: float) -> None:
        """Note where a node is. It gets a lease, in which to speak to this process too.

        A live node's word that is older than its last one is passed over: the tracker that took it
        was late.
        """
        member = self.by_node.get(seen.node)
        if member is None:
            member = Member(seen.node, seen.address, seen.epoch, 0)
            self._recall(member)
            self.by_node[seen.node] = member
            self._place(member)
        elif _is_late(seen, member):
            member.is_behind = True
            return
        elif member.address != seen.address:
            self._unplace(member)
            member.address = seen.address
            self._place(member)
        before = member.sequence if seen.epoch == member.epoch else 0
        is_next = seen.sequence <= before + 1
        goes_on = not seen.replaces and (member.has_gap or not is_next)
        member.has_gap = seen.is_part or goes_on
        member.address, member.epoch, member.sequence = seen.address, seen.epoch, seen.sequence
        member.left, member.silent_since, member.is_behind = False, None, False
        self._silences.end(member.node)
        self._leases.begin(member.node, now)

    def renew(self, node: str, now: float, doing: Doing | None = None) -> None:
        member = self.by_node[node]
        member.last_seen = now
        member.doing = doing or member.doing
        self._leases.begin(member.node, now)

    def prolong(self, node: str, now: float) -> None:
        """Let the lease of a node run on that may renew it with another tracker."""
        self._leases.begin(node, now)

    def before(self, node: str) -> Callable[[], None]:
        """Return what makes a node what it is now, after one change of it."""
        member = self.by_node.get(node)
        if member is None:
            return functools.partial(self._set_aside, node)
        said = member.address, member.epoch, member.sequence, member.left, member.silent_since
        lease_end = self._leases.end_of(node)
        before = _Before(
            *said, member.tokens, member.doing, lease_end, member.is_behind, member.has_gap
        )
        return functools.partial(self._put_back, member, before)

    def _set_aside(self, node: str) -> None:
        if node in self.by_node:
            self._aside[node] = self.by_node[node]
            self.forget(node)

    def _put_back(self, member: Member, before: _Before) -> None:
        node = member.node
        if node in self.by_node:
            self._unplace(member)
        self.by_node[node] = member
        member.address, member.epoch, member.sequence = (
            before.address,
            before.epoch,
            before.sequence,
        )
        member.left, member.silent_since = before.left, before.silent_since
        member.tokens, member.is_behind = before.tokens, before.is_behind
        member.has_gap = before.has_gap
        member.doing = member.doing or before.doing
        self._place(member)
        if before.silent_since is None:
            self._silences.end(node)
            assert before.lease_end is not None, "its lease was running"
            self._leases.run_until(node, before.lease_end)
        else:
            self._leases.end(node)
            if node not in self._kept:
                self._silences.begin(node, before.silent_since)

    def settle(self, offered: Iterable[Offered]) -> None:
        """Note that what was taken back is applied again; these tokens had been given before."""
        self._aside.clear()
        for one in offered:
            member = self.by_node.get(one.node)
            if member is not None and not member.tokens.has(one.token):
                self.offer(one.node, one.token)

    def keep(self, old: "Members") -> None:
        """Take over what is known in memory alone, also of nodes that are going to be known."""
        self._aside = dict(old.by_node)
        for node in self.by_node.keys() & old.by_node.keys():
            self._recall(self.by_node[node])

    def _recall(self, member: Member) -> None:
        known = self._aside.pop(member.node, None)
        if known is not None:
            member.last_seen, member.doing = known.last_seen, known.doing

    def entrust(self, node: str, tokens: str) -> None:
        """Note by which tokens a node is known, if the node is."""
        member = self.by_node.get(node)
        if member is not None:
            member.tokens = Tokens.of(tokens)

    def offer(self, node: str, token: str) -> None:
        member = self.by_node[node]
        member.tokens = member.tokens._replace(offered=token)

    def lose(self, gone: Gone, now: float) -> None:
        """Note that a node has left or fallen silent, if it is known."""
        member = self.by_node.get(gone.node)
        if member is None:
            return
        member.left, member.silent_since = gone.left, now - gone.silent_s
        member.doing, member.is_behind = None, False
        self._leases.end(member.node)
        if member.node not in self._kept:
            self._silences.begin(member.node, member.silent_since)

    def forget(self, node: str) -> None:
        member = self.by_node.pop(node, None)
        if member is not None:
            self._unplace(member)
            self._leases.end(node)
            self._silences.end(node)

    def _place(self, member: Member) -> None:
        if member.node not in self._kept:
            host = _host_of(member.address)
            self._strangers.setdefault(host, {})[member.node] = None
            self._all_strangers[member.node] = None
            self._crowded[host] = None

    def _unplace(self, member: Member) -> None:
        if member.node not in self._kept:
            host = _host_of(member.address)
            del self._strangers[host][member.node], self._all_strangers[member.node]
            if not self._strangers[host]:
                del self._strangers[host]


def _is_late(seen: Seen, member: Member) -> bool:
    is_older = (seen.epoch, seen.sequence) < (member.epoch, member.sequence)
    return is_older and seen.address == member.address and member.has_lease


def _host_of(address: str) -> str:
    """Return what counts as one host: all of loopback, and an IPv6 network of 64 bits."""
    host, _ = addresses.split(address)
    return addresses.network_of(host)


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

    def in_order(self) -> Iterator[str]:
        return iter(self._ends)

    def due(self, now: float) -> str | None:
        """Return a node whose span is over."""
        for node, end in self._ends.items():
            return node if end <= now else None
        return None

    def begin(self, node: str, at: float) -> None:
        self._ends[node] = at + self._span_s
        self._ends.move_to_end(node)

    def end_of(self, node: str) -> float | None:
        return self._ends.get(node)

    def run_until(self, node: str, end: float) -> None:
        """Have a span end then, at the latest; its place in the order is the last if it is new."""
        self._ends[node] = max(end, self._ends.get(node, end))

    def end(self, node: str) -> None:
        self._ends.pop(node, None)

"""How much the tracker remembers, and who has to go for others. Believes nobody.

Limits count in bytes too: of a million names, each may have 4 KiB. Nodes of the cluster file always
have a place. For them strangers are forgotten: those that have been silent for longest, then those
that joined last. What one request may forget is bounded, or others would have to wait for it.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

from shoal.broker.tracking.catalogue import Version, room_of
from shoal.broker.tracking.changes import Dropped, Gone, Withdrawn
from shoal.broker.tracking.departures import forgotten
from shoal.broker.tracking.events import NodePushedOut
from shoal.broker.tracking.members import Member
from shoal.broker.tracking.state import Decision, State
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Update

MOST_FORGOTTEN = 2000  # Holdings, by one request: four times as many as it can add; 10 ms.
FIRST_FORGOTTEN = 8  # At first only so many, as looking whether it is enough takes 0.1 ms, …
GROWTH = 8  # … then so many times more.


@dataclass(frozen=True, slots=True)
class Room:
    """Decides whether there is room for what a node announces, and makes it."""

    state: State

    def make(self, request: Update, withdrawn: Collection[Version]) -> Decision[Error | None]:
        """Make room for an update that withdraws these; return why there is none.

        A node of the cluster file gets what it asks for as long as there are strangers: what is
        too much for a moment goes with the next requests.
        """
        needs = _Needs(self.state, request, withdrawn)
        refused = needs.too_much_of_one_node()
        if refused is not None:
            return refused
        is_listed = request.node in self.state.initial.nodes
        if not is_listed:
            refused = yield from self._place_at_its_host(request.node, request.address)
            if refused is not None:
                return refused
        left, batch = MOST_FORGOTTEN, FIRST_FORGOTTEN
        while left > 0 and needs.too_much() is not None:
            count = yield from self._forget_some(batch, request.node, also_live=is_listed)
            if not count:
                return needs.too_much()
            left, batch = left - count, min(GROWTH * batch, left)
        return None if is_listed else needs.too_much()

    @property
    def is_crowded(self) -> bool:
        """Return whether `settle` has something to do."""
        return self._crowded_host() is not None

    def settle(self) -> Decision[None]:
        """Forget some of the strangers of hosts that have too many, as after a start."""
        left = MOST_FORGOTTEN
        while left > 0 and (host := self._crowded_host()) is not None:
            victim = self.state.members.first_stranger_of(host)
            left -= yield from self._push_out(victim, left)

    def _crowded_host(self) -> str | None:
        return self.state.members.crowded_host(self.state.settings.max_strangers_per_host)

    def _place_at_its_host(self, node: str, address: str) -> Decision[Error | None]:
        """Make a place among the strangers of a host, if one of them is silent."""
        members, most = self.state.members, self.state.settings.max_strangers_per_host
        strangers = members.strangers_at(address)
        if len(strangers) < most or node in strangers:
            return None
        silent = next((node for node in strangers if not members.has_lease(node)), None)
        if silent is None:
            of = "nodes of one host that are not in its cluster file"
            return Error(WireCode.TOO_MUCH, f"the tracker takes no more than {most} {of}")
        yield from self._push_out(members.by_node[silent], MOST_FORGOTTEN)
        return None

    def _forget_some(self, most: int, besides: str, *, also_live: bool) -> Decision[int]:
        """Forget about `most` holdings and nodes; return how many, 0 if there is nothing."""
        unheld = list(islice(self.state.catalogue.unheld(), most))
        for version in unheld:
            yield Dropped(version.name, version.id)
        count = len(unheld)
        while not unheld and count < most:
            victim = self.state.members.stranger_to_forget(besides, also_live=also_live)
            if victim is None:
                break
            count += yield from self._push_out(victim, most - count)
        return count

    def _push_out(self, victim: Member, most: int) -> Decision[int]:
        """Forget a node, or if it holds more than `most` things, so many of these."""
        if victim.has_lease:
            yield NodePushedOut(victim.node)
            yield Gone(victim.node, left=True)
        held = list(islice(self.state.catalogue.held_by(victim.node), most))
        for version in held:
            is_last = version.holder_count() == 1
            yield Withdrawn(version.name, version.id, victim.node)
            if is_last:
                yield Dropped(version.name, version.id)
        if not self.state.catalogue.held_by(victim.node):
            yield from forgotten(self.state, victim.node)
        return len(held) + 1


class _Needs:
    """What an update adds to what is there; asked again while things are forgotten."""

    def __init__(self, state: State, request: Update, withdrawn: Collection[Version]) -> None:
        self._state = state
        self._node = request.node
        self._wanted = {(holding.name, holding.id) for holding in request.holdings}
        self._withdrawn = [each for each in withdrawn if (each.name, each.id) not in self._wanted]

    def too_much_of_one_node(self) -> Error | None:
        limits, catalogue = self._state.settings, self._state.catalogue
        more, added = self._more(), (room_of(*key) for key in self._not_held())
        taken = sum(added) - sum(room_of(each.name, each.id) for each in self._withdrawn)
        most_bytes = limits.max_holdings_per_node * limits.bytes_per_name
        return _over(
            (
                "holdings per node",
                len(catalogue.held_by(self._node)) + more,
                limits.max_holdings_per_node,
            ),
            ("bytes of names per node", catalogue.bytes_of(self._node) + taken, most_bytes),
        )

    def too_much(self) -> Error | None:
        limits, state, catalogue = self._state.settings, self._state, self._state.catalogue
        new = [key for key in self._wanted if catalogue.find(*key) is None]
        node_count = len(state.members.by_node) + (state.members.find(self._node) is None)
        size_bytes = catalogue.size_bytes + sum(room_of(*key) for key in new)
        most_bytes = limits.max_versions * limits.bytes_per_name
        return _over(
            ("nodes", node_count, limits.max_nodes),
            ("versions", catalogue.version_count + len(new), limits.max_versions),
            ("bytes of names", size_bytes, most_bytes),
            ("holdings", catalogue.holding_count + self._more(), limits.max_holdings),
        )

    def _more(self) -> int:
        return sum(1 for _ in self._not_held()) - len(self._withdrawn)

    def _not_held(self) -> Iterator[tuple[str, str]]:
        for key in self._wanted:
            version = self._state.catalogue.find(*key)
            if version is None or not version.is_held_by(self._node):
                yield key


def _over(*counted: tuple[str, int, int]) -> Error | None:
    for text, count, limit in counted:
        if count > limit:
            return Error(WireCode.TOO_MUCH, f"the tracker takes no more than {limit} {text}")
    return None

"""What the tracker knows, in numbers. Changes nothing."""

from collections.abc import Mapping

import msgspec
from shoal.broker.tracking.push_counts import PushCounts
from shoal.broker.tracking.state import State

MOST_NODES = 1000  # That are told of one by one; the others by the one heard of longest ago.
OTHER = "other"


class Census(msgspec.Struct, frozen=True):
    """Counts of nodes, things and pushes, and how long ago each node was heard of, in seconds."""

    nodes: dict[str, int]  # By state: alive, offline or never_seen, as `shoal status` has them.
    heard_s: dict[str, float]
    versions: int
    holdings: int
    pushes: int
    wanted: int  # Copies, by all pushes …
    have: int  # … and those that there are.


class Counting:
    """Counts one state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._push_counts = PushCounts(state)

    def census(self, now: float) -> Census:
        """Return all counts: a millisecond for 5000 nodes."""
        state = self._state
        members = state.members.by_node
        alive = sum(member.is_alive for member in members.values())
        never = sum(node not in members for node in state.initial.nodes)
        counts = {"alive": alive, "offline": len(members) - alive, "never_seen": never}
        return Census(
            counts,
            self._heard_s(now),
            state.catalogue.version_count,
            state.catalogue.holding_count,
            len(state.wishes),
            *self._push_counts.read(),
        )

    def _heard_s(self, now: float) -> dict[str, float]:
        """Return it of the cluster file's nodes; of the others, the longest that has a lease."""
        members, listed = self._state.members.by_node, self._state.initial.nodes
        own = [node for node in listed if node in members][:MOST_NODES]
        heard: Mapping[str, float | None] = {node: members[node].last_seen for node in own}
        ages = {node: now - at for node, at in heard.items() if at is not None}
        others = [
            now - member.last_seen
            for node, member in members.items()
            if node not in heard and member.last_seen is not None and member.has_lease
        ]
        return ages | ({OTHER: max(others)} if others else {})

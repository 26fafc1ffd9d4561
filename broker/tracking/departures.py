"""What happens as time passes: leases run out, and nodes and versions are forgotten."""

from collections.abc import Callable

from shoal.broker.tracking.changes import Dropped, Entrusted, Forgotten, Gone, Withdrawn
from shoal.broker.tracking.events import NodeFellSilent, NodeForgotten
from shoal.broker.tracking.state import Decision, State


def overdue(
    state: State, now: float, suspends: Callable[[str], bool] = lambda _: False
) -> Decision[None]:
    """Decide about everything whose time has run out, but not about nodes that are suspended."""
    while (member := state.members.overdue(now)) is not None:
        if suspends(member.node):
            state.members.prolong(member.node, now)
            continue
        yield NodeFellSilent(member.node)
        yield Gone(member.node, left=False)
        yield from forgotten_if_empty(state, member.node)
    while (member := state.members.forgettable(now)) is not None:
        assert member.silent_since is not None, "only silent nodes are forgotten"
        yield NodeForgotten(member.node, now - member.silent_since)
        for held in tuple(state.catalogue.held_by(member.node)):
            yield Withdrawn(held.name, held.id, member.node)
        yield from forgotten(state, member.node)
    while (version := state.catalogue.first_unheld(now - state.settings.lease_s)) is not None:
        yield Dropped(version.name, version.id)


def next_due(state: State, now: float) -> float:
    """Return a time until which nothing becomes overdue, whatever is decided before it."""
    settings = state.settings
    times = [now + settings.lease_s, now + settings.forget_s]  # For whatever begins from now on.
    if state.members.deadline is not None:
        times.append(state.members.deadline)
    if state.catalogue.unheld_since is not None:
        times.append(state.catalogue.unheld_since + settings.lease_s)
    return min(times)


def forgotten_if_empty(state: State, node: str) -> Decision[None]:
    """Forget a node that is gone and holds nothing, unless it is in the cluster file.

    A node of the cluster file must be remembered to have spoken: the holdings that the file lists
    for it no longer count.
    """
    is_known = state.members.find(node) is not None and node not in state.initial.nodes
    if is_known and not state.members.has_lease(node) and not state.catalogue.held_by(node):
        yield from forgotten(state, node)


def forgotten(state: State, node: str) -> Decision[None]:
    """Forget a node that holds nothing."""
    if state.members.by_node[node].tokens.shown:
        yield Entrusted(node, "")
    yield Forgotten(node)

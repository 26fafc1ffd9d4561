"""The state as a log, from which another tracker starts. Changes nothing."""

from collections.abc import Iterator

from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Entrusted,
    Gone,
    Held,
    Published,
    Seen,
    Unwished,
    Wished,
)
from shoal.broker.tracking.members import Member
from shoal.broker.tracking.state import State


def dump(state: State, now: float) -> Iterator[Change]:
    """Yield changes that lead to the same state, whatever cluster file they are applied to."""
    for member in state.members.by_node.values():
        yield from told_of(member)
    yield from _versions(state, now)
    for member in sorted(state.members.by_node.values(), key=_silent_since):
        yield from gone(member, now)
        if member.is_behind:  # Whatever may follow its late word.
            earlier = member.epoch, member.sequence - 1
            yield Seen(member.node, member.address, *(earlier if member.sequence else (0, 0)))
    for name, node in state.initial_holdings.disowned:
        yield Disowned(name, node)
    for one in state.wishes.after(""):
        what, age_s = (one.name, one.id, one.size_bytes), int(now - one.since)
        yield Wished(*what, one.to.nodes, one.to.zones, age_s, state.wishes.count(one.name))
    for name, at in state.wishes.ended().items():
        yield Unwished(name, int(now - at), state.wishes.count(name))


def _versions(state: State, now: float) -> Iterator[Change]:
    for version in state.catalogue.versions_in_order():
        what, age_s = (version.name, version.id, version.size_bytes), int(now - version.announced)
        first_hand, is_refused = version.is_first_hand, state.catalogue.is_refused(version)
        yield Published(*what, *version.published, age_s, first_hand, is_refused=is_refused)
        for node in (*version.whole, *version.partial):
            yield Held(version.name, version.id, node, node in version.whole)


def told_of(member: Member) -> Iterator[Change]:
    """Yield what a node has said of itself, as if it were alive; what it holds is to follow."""
    yield seen(member, replaces=True)
    if member.tokens.shown:
        yield Entrusted(member.node, member.tokens.text)


def seen(member: Member, *, replaces: bool = False) -> Seen:
    """Return where a node is, and how far its updates went."""
    told = member.node, member.address, member.epoch, member.sequence
    return Seen(*told, replaces, member.has_gap)


def gone(member: Member, now: float) -> Iterator[Change]:
    """Yield that a node is gone, if it is."""
    if member.silent_since is not None:
        yield Gone(member.node, member.left, int(now - member.silent_since))


def _silent_since(member: Member) -> float:
    return member.silent_since or 0.0

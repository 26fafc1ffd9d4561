"""What a tracker says again when the shared log has lost what it had confirmed.

The nodes' word wins: whatever they said last is known here, and epoch and sequence tell whether the
log has it. A push is said again if nothing later is known of that name.
"""

from shoal.broker.tracking import dump
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.changes import (
    Disowned,
    Entrusted,
    Held,
    Published,
    Unwished,
    Wished,
)
from shoal.broker.tracking.members import Member
from shoal.broker.tracking.state import Decision, Known, State


def say_again(state: State, known: Known, now: float) -> Decision[None]:
    """Add to the state what was known and is not in its log."""
    old = known.members.by_node
    ahead = [each for each in old.values() if _is_ahead(each, state.members.find(each.node))]
    for member in ahead:
        yield from dump.told_of(member)
    yield from _holdings(state, known, {each.node for each in ahead}, now)
    for member in old.values():
        yield from _silence(state, member, now)
    yield from _tokens(state, known)
    for name, node in known.disowned:
        if (name, node) not in state.initial_holdings.disowned:
            yield Disowned(name, node)
    yield from _wishes(state, known, now)


def _is_ahead(known: Member, new: Member | None) -> bool:
    return new is None or (known.epoch, known.sequence) > (new.epoch, new.sequence)


def _holdings(state: State, known: Known, ahead: set[str], now: float) -> Decision[None]:
    for version in known.catalogue.versions_in_order():
        holders = [node for node in (*version.whole, *version.partial) if node in ahead]
        new = state.catalogue.find(version.name, version.id)
        is_refused = new is not None and state.catalogue.is_refused(new)
        if (holders and is_refused) or (_is_unknown(version, new) and (holders or new is not None)):
            what = version.name, version.id, version.size_bytes
            age_s = int(now - version.announced)
            yield Published(*what, *version.published, age_s, version.is_first_hand)
        for node in holders:
            yield Held(version.name, version.id, node, node in version.whole)


def _is_unknown(version: Version, new: Version | None) -> bool:
    return new is None or version.published.number > new.published.number


def _silence(state: State, member: Member, now: float) -> Decision[None]:
    """Say of a node whose word the log has whether it is silent."""
    new = state.members.find(member.node)
    if new is None or (new.epoch, new.sequence) != (member.epoch, member.sequence):
        return
    if not member.has_lease and new.has_lease:
        yield from dump.gone(member, now)
    elif member.is_alive and not new.has_lease:
        yield dump.seen(member)


def _tokens(state: State, known: Known) -> Decision[None]:
    for member in state.members.by_node.values():
        before = known.members.find(member.node)
        if before is not None and before.tokens.shown and not member.tokens.shown:
            yield Entrusted(member.node, before.tokens.text)


def _wishes(state: State, known: Known, now: float) -> Decision[None]:
    old, new = known.wishes, state.wishes
    for one in list(old.after("")):
        if old.count(one.name) > new.count(one.name):
            what, age_s = (one.name, one.id, one.size_bytes), int(now - one.since)
            yield Wished(*what, one.to.nodes, one.to.zones, age_s, old.count(one.name))
    for name, at in old.ended().items():
        if old.count(name) > new.count(name):
            yield Unwished(name, int(now - at), old.count(name))

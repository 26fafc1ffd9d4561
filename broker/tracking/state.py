"""All that the tracker knows, in one place for its parts. Decides nothing."""

from dataclasses import dataclass, field

from shoal.broker.tracking.catalogue import Catalogue, Member
from shoal.broker.tracking.events import Event
from shoal.broker.tracking.initial import Initial, InitialHoldings
from shoal.broker.tracking.leases import Leases
from shoal.broker.tracking.records import Change, DurableState, NodeRecord
from shoal.broker.tracking.settings import TrackerSettings


@dataclass(slots=True)
class State:
    """The nodes, their leases and holdings; and what is still to be saved and told of them."""

    initial: Initial
    settings: TrackerSettings
    leases: Leases
    silences: Leases  # of those whose lease has ended: how long they are remembered
    initial_holdings: InitialHoldings
    catalogue: Catalogue
    changes: list[Change]  # the catalogue appends to them too
    members: dict[str, Member] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def is_alive(self, member: Member) -> bool:
        """Say whether it has renewed its lease in time, at this process."""
        return self.leases.is_alive(member.node) and member.last_seen is not None

    def fell_silent(self, member: Member, now: float) -> None:
        """Note that its lease has ended."""
        member.silent_since = now
        self.silences.renew(member.node, now)
        self.save_member(member, now)

    def save_member(self, member: Member, now: float) -> None:
        silent_s = None if member.silent_since is None else int(now - member.silent_since)
        told = member.address, member.epoch, member.sequence, member.left
        self.changes.append(NodeRecord(member.node, *told, silent_s))


def restored(
    initial: Initial, settings: TrackerSettings, remembered: DurableState, now: float
) -> State:
    """Take up what an earlier process saved.

    Those that were alive then have a lease to say so again. They are handed out meanwhile, but not
    called alive.
    """
    changes: list[Change] = []
    state = State(
        initial,
        settings,
        Leases(settings.lease_s),
        Leases(settings.forget_s),
        InitialHoldings(initial),
        Catalogue(changes),
        changes,
    )
    for record in sorted(remembered.nodes, key=lambda record: -(record.silent_s or 0)):
        node, address, epoch, sequence, left, silent_s = record
        member = state.members[node] = Member(node, address, epoch, sequence, left)
        state.initial_holdings.supersede(node)
        if silent_s is None and not left:
            state.leases.renew(node, now)
            continue
        member.silent_since = now - (silent_s or 0)
        state.silences.renew(node, member.silent_since)
    versions = state.catalogue.restore(remembered.versions, now)
    for serial, node, complete in remembered.holders:
        if serial in versions and node in state.members:
            state.catalogue.restore_holder(versions[serial], state.members[node], complete=complete)
    for name, node in remembered.disowned:
        state.initial_holdings.disown(name, node)
    return state

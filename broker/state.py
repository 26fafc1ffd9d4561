"""All that the tracker knows, in one place for its parts. Decides nothing."""

from dataclasses import dataclass, field

from broker.catalogue import Catalogue, Member
from broker.events import Event
from broker.initial import Initial, InitialHoldings
from broker.leases import Leases
from broker.records import Change, DurableState, NodeRecord
from broker.settings import TrackerSettings


@dataclass(slots=True)
class State:
    """The nodes, their leases and holdings; and what is still to be saved and told of them."""

    initial: Initial
    settings: TrackerSettings
    leases: Leases
    initial_holdings: InitialHoldings
    catalogue: Catalogue
    changes: list[Change]  # the catalogue appends to them too
    members: dict[str, Member] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def save_member(self, member: Member) -> None:
        self.changes.append(
            NodeRecord(member.node, member.address, member.epoch, member.sequence, member.left)
        )


def restored(
    initial: Initial, settings: TrackerSettings, remembered: DurableState, now: float
) -> State:
    """Take up what an earlier process saved. Who had not left has a lease to say so again."""
    changes: list[Change] = []
    state = State(
        initial,
        settings,
        Leases(settings.lease_s),
        InitialHoldings(initial),
        Catalogue(changes),
        changes,
    )
    for record in remembered.nodes:
        member = state.members[record.node] = Member(*record)
        state.initial_holdings.supersede(record.node)
        if not record.left:
            member.last_seen = now
            state.leases.renew(record.node, now)
    versions = state.catalogue.restore(remembered.versions, now)
    for serial, node, complete in remembered.holders:
        if serial in versions and node in state.members:
            state.catalogue.restore_holder(versions[serial], state.members[node], complete=complete)
    for name, node in remembered.disowned:
        state.initial_holdings.disown(name, node)
    return state

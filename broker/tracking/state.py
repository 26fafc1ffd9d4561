"""Everything the tracker knows, and the one place where it changes. Decides nothing."""

from collections.abc import Generator, Iterable
from typing import TypeVar

from shoal.broker.tracking.catalogue import Catalogue
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Forgotten,
    Gone,
    Held,
    Published,
    Renewed,
    Seen,
    Withdrawn,
)
from shoal.broker.tracking.events import Event
from shoal.broker.tracking.initial import Initial, InitialHoldings
from shoal.broker.tracking.members import Members
from shoal.broker.tracking.settings import TrackerSettings

T = TypeVar("T")

# Decisions read the state, yield their steps, and return the reply. Each change is applied before
# its decision goes on: of two claims in one update, the second sees the first.
Decision = Generator[Change | Renewed | Event, None, T]


class State:
    """The nodes, their leases and their holdings: the sum of the log. Others only read it."""

    def __init__(self, initial: Initial, settings: TrackerSettings) -> None:
        self.initial = initial
        self.settings = settings
        self.initial_holdings = InitialHoldings(initial)
        self.members = Members(settings.lease_s, settings.forget_s, initial.nodes)
        self.catalogue = Catalogue()

    def replay(self, log: Iterable[Change], now: float) -> None:
        """Apply the log that an earlier process left."""
        with self.catalogue.filling():
            for change in log:
                self.apply(change, now)

    def apply(self, change: Change | Renewed, now: float) -> None:
        """Carry out what was decided, here or elsewhere. Accepts any entries in any order."""
        match change:
            case Renewed():
                self.members.renew(change.node, now)
            case Held():
                member = self.members.find(change.node)
                if member is not None:  # Its own string: 4,000,000 copies take 200 MiB.
                    held = change.name, change.id, member.node
                    self.catalogue.hold(*held, complete=change.complete)
            case Published():
                self.catalogue.publish(change, now)
            case Withdrawn():
                self.catalogue.withdraw(change.name, change.id, change.node, now)
            case Dropped():
                self.catalogue.drop(change.name, change.id)
            case Disowned():
                self.initial_holdings.disown(change.name, change.node)
            case _:
                self._apply_to_node(change, now)

    def _apply_to_node(self, change: Seen | Gone | Forgotten, now: float) -> None:
        match change:
            case Seen():
                self.members.see(change, now)
                self.initial_holdings.supersede(change.node)  # From now on it speaks for itself.
            case Gone():
                self.members.lose(change, now)
            case _:
                self.catalogue.withdraw_all(change.node, now)
                self.members.forget(change.node)

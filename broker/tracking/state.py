"""Everything the tracker knows, and the one place where it changes. Decides nothing."""

from collections.abc import Generator, Iterable
from typing import NamedTuple, TypeVar

from shoal.broker.tracking.catalogue import Catalogue
from shoal.broker.tracking.changes import (
    Change,
    Disowned,
    Dropped,
    Entrusted,
    Forgotten,
    Gone,
    Held,
    Offered,
    Published,
    Renewed,
    Seen,
    Unwished,
    Wished,
    Withdrawn,
)
from shoal.broker.tracking.events import Event
from shoal.broker.tracking.initial import Initial, InitialHoldings
from shoal.broker.tracking.lending import Lending
from shoal.broker.tracking.members import Members
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.wishes import Wishes

T = TypeVar("T")

# Decisions read the state, yield their steps, and return the reply. Each change is applied before
# its decision goes on: of two claims in one update, the second sees the first.
Decision = Generator[Change | Renewed | Offered | Event, None, T]


class Known(NamedTuple):
    """What a state knew before another log took its place."""

    members: Members
    catalogue: Catalogue
    wishes: Wishes
    disowned: tuple[tuple[str, str], ...]


class State:
    """The nodes, their leases and their holdings: the sum of the log. Others only read it."""

    def __init__(
        self, initial: Initial, settings: TrackerSettings, first_revision: int = 1
    ) -> None:
        self.initial = initial
        self.settings = settings
        self.initial_holdings = InitialHoldings(initial.nodes, initial.holdings)
        self.members = Members(settings.lease_s, settings.forget_s, initial.nodes)
        self.catalogue = Catalogue()
        self.wishes = Wishes(first_revision)
        self.lending = Lending()
        self.voided: dict[str, dict[tuple[str, str], None]] = {}  # Claims, by node; until told.
        self.lending.learn(initial.cluster_up, len(initial.nodes))

    def learn(self, initial: Initial) -> None:
        """Go by another cluster file, except for its holdings."""
        if initial.nodes != self.initial.nodes:
            self.wishes.mean_others()
        self.initial = initial
        self.initial_holdings.learn(initial.nodes)
        self.members.learn(initial.nodes)
        self.lending.learn(initial.cluster_up, len(initial.nodes))

    def replay(self, log: Iterable[Change], now: float) -> None:
        """Apply the log that an earlier process left."""
        with self.catalogue.filling():
            for change in log:
                self.apply(change, now)
        self.voided.clear()

    def folded(self, log: Iterable[Change], now: float) -> "State":
        """Return the sum of another log, for `restart`. Changes nothing; for any thread."""
        state = State(self.initial, self.settings)
        state.initial_holdings = self.initial_holdings.successor()
        state.replay(log, now)
        return state

    def restart(self, folded: "State", now: float) -> Known:
        """Be the sum of another log from now on; return what was known. Leases begin anew."""
        disowned = tuple(self.initial_holdings.disowned)
        known = Known(self.members, self.catalogue, self.wishes, disowned)
        if folded.initial is not self.initial:  # The cluster file has changed meanwhile.
            folded.learn(self.initial)
        self.initial_holdings, self.members = folded.initial_holdings, folded.members
        self.catalogue, self.wishes = folded.catalogue, folded.wishes
        self.wishes.succeed(known.wishes)
        self.voided.clear()
        for member in self.members.by_node.values():
            if not member.has_lease:
                self.lending.left(member.node, now)
        self.members.keep(known.members)
        return known

    def apply(self, change: Change | Renewed | Offered, now: float) -> None:
        """Carry out what was decided, here or elsewhere. Accepts any entries in any order."""
        match change:
            case Held():
                self._hold(change)
            case Published():
                self._publish(change, now)
            case Withdrawn():
                if not self.members.is_behind(change.node):
                    self.catalogue.withdraw(change.name, change.id, change.node, now)
            case Dropped():
                self.catalogue.drop(change.name, change.id)
            case Disowned():
                self.initial_holdings.disown(change.name, change.node)
            case Wished() | Unwished():
                self.wishes.apply(change, now)
            case _:
                self._apply_to_node(change, now)

    def _hold(self, change: Held) -> None:
        member = self.members.find(change.node)
        if member is not None and not member.is_behind:
            held = change.name, change.id, member.node  # Its own string: 4,000,000 take 200 MiB.
            self.catalogue.hold(*held, complete=change.complete)

    def _publish(self, change: Published, now: float) -> None:
        publisher = change.publisher or ""
        if change.is_claim and self.members.is_behind(publisher):
            return
        if not self.catalogue.publish(change, now):
            self.voided.setdefault(publisher, {})[change.name, change.id] = None

    def _apply_to_node(
        self, change: Seen | Renewed | Offered | Entrusted | Gone | Forgotten, now: float
    ) -> None:
        match change:
            case Renewed(node, doing, wants):
                self.members.renew(node, now, doing)
                if wants is not None:
                    self.lending.heard(node, wants, now)
            case Offered(node, token):
                self.members.offer(node, token)
            case Seen():
                self.members.see(change, now)
                if change.replaces and not self.members.is_behind(change.node):
                    self.catalogue.withdraw_all(change.node, now)
                self.initial_holdings.supersede(change.node)  # From now on it speaks for itself.
            case Entrusted(node, tokens):
                self.members.entrust(node, tokens)
            case Gone():
                self.members.lose(change, now)
                self.lending.left(change.node, now)
            case _:
                self.catalogue.withdraw_all(change.node, now)
                self.members.forget(change.node)
                self.initial_holdings.reinstate(change.node)

"""One of several trackers on one log: what it has decided and the log has not confirmed yet.

What the others have decided comes in the log's order. If it comes before what this tracker has
applied already, that is taken back and applied after it, so the state is always that of one log.
Leases are no part of the log: each tracker tells the others who renews with it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from shoal.broker.tracking.changes import Change, Entrusted, Gone, Offered, Renewed, Seen
from shoal.broker.tracking.members import Member
from shoal.broker.tracking.state import State
from shoal.broker.tracking.undoing import Step, remembered


class _Own(NamedTuple):
    change: Change
    at: float  # When it was decided.
    steps: tuple[Step, ...]  # These undo it.


class Sharing:
    """Applies the changes of this tracker and of the others. Decides nothing."""

    def __init__(self, state: State) -> None:
        self.is_away = False  # The store: who renews with others is not known.
        self._awaits_another = False  # Log; what is decided before it needs no undoing.
        self._state = state
        self._own: deque[_Own] = deque()
        self._renewed: dict[str, Renewed] = {}  # With this tracker, since it was told last.
        self._here: dict[str, float] = {}  # Who renewed with this tracker last, and when.

    @property
    def unconfirmed_count(self) -> int:
        return len(self._own)

    def apply(self, step: Change | Renewed | Offered, now: float) -> None:
        """Apply what this tracker has decided."""
        match step:
            case Renewed(node):
                self._here[node] = now
                known = self._renewed.get(node)
                self._renewed[node] = step if known is None else _together(known, step)
                self._state.apply(step, now)
            case Offered():
                self._state.apply(step, now)
            case _:
                if not self._awaits_another:
                    self._own.append(_Own(step, now, remembered(self._state, step)))
                self._state.apply(step, now)

    def absorb(self, others: Sequence[Change], confirmed: int, now: float) -> None:
        """Apply what others have decided before this tracker's unconfirmed changes.

        Of these, the log has the first `confirmed` now.
        """
        if others:
            offered = self._offered()
            own = self._undo()
            for change in others:
                if isinstance(change, Seen):  # It has been told there.
                    self._state.voided.pop(change.node, None)
                self._state.apply(change, now)
            self._redo(own)
            self._state.members.settle(offered)
        for _ in range(confirmed):
            self._own.popleft()

    def falsely_gone(self, others: Iterable[Change], now: float) -> list[Member]:
        """Return the nodes that others do not hear, while this tracker does."""
        lost = (each.node for each in others if isinstance(each, Gone) and not each.left)
        members = (self._state.members.find(node) for node in lost)
        return [
            member
            for member in members
            if member is not None
            and not (member.has_lease or member.left)
            and now < self._here.get(member.node, -1e9) + self._state.settings.lease_s
        ]

    def await_another(self) -> None:
        """Keep nothing that has to be confirmed or undone until `has_another`."""
        self._own.clear()
        self._awaits_another = True

    def has_another(self) -> None:
        """Note that the state is another log's from now on."""
        self._own.clear()
        self._awaits_another = False

    def taken_renewed(self) -> tuple[Renewed, ...]:
        """Return who renewed here since this was asked last."""
        known = self._state.members.by_node
        if len(self._here) > 2 * len(known):
            self._here = {node: at for node, at in self._here.items() if node in known}
        renewed = tuple(self._renewed.values())
        self._renewed.clear()
        return renewed

    def hear(self, renewed: Iterable[Renewed], now: float) -> None:
        """Note who renewed with other trackers."""
        for each in renewed:
            self._here.pop(each.node, None)
            if self._state.members.has_lease(each.node):
                self._state.apply(each, now)

    def suspends(self, node: str) -> bool:
        """Return whether a node may have renewed its lease where this tracker cannot hear it."""
        return self.is_away and node not in self._here

    def _undo(self) -> list[_Own]:
        own = list(self._own)
        for each in reversed(own):
            for undo in reversed(each.steps):
                undo()
        self._own.clear()
        return own

    def _redo(self, own: list[_Own]) -> None:
        for change, at, _ in own:
            self._own.append(_Own(change, at, remembered(self._state, change)))
            self._state.apply(change, at)

    def _offered(self) -> list[Offered]:
        """Return the tokens that nodes were given whose changes are not confirmed."""
        told = (own.change.node for own in self._own if isinstance(own.change, Seen | Entrusted))
        members = map(self._state.members.find, dict.fromkeys(told))
        return offers(member for member in members if member is not None)


def offers(members: Iterable[Member]) -> list[Offered]:
    """Return the tokens that nodes were given and have not shown yet."""
    tokens = ((member.node, member.tokens.offered) for member in members)
    return [Offered(node, offered) for node, offered in tokens if offered]


def _together(earlier: Renewed, later: Renewed) -> Renewed:
    """Return what two renewals of one node say; the later need not say everything again."""
    doing = earlier.doing if later.doing is None else later.doing
    wants = earlier.wants if later.wants is None else later.wants
    return msgspec.structs.replace(later, doing=doing, wants=wants)

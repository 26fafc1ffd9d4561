"""What nodes say about themselves: update, renew, leave. Answers no questions."""

from collections.abc import Iterator
from dataclasses import dataclass

from shoal.broker.tracking import claims, departures
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.changes import Gone, Held, Published, Renewed, Seen, Withdrawn
from shoal.broker.tracking.events import (
    ClaimRefused,
    HolderAdded,
    HolderWithdrew,
    NodeJoined,
    NodeLeft,
    NodeRefused,
    PartialHolderAdded,
)
from shoal.broker.tracking.members import Member
from shoal.broker.tracking.state import Decision, State
from shoal.protocol import addresses
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Leave, Ok, Renew, Told, Update


@dataclass(frozen=True, slots=True)
class Announcements:
    """Decides which announcements to believe."""

    state: State

    def update(self, request: Update, now: float) -> Decision[Ok | Error]:
        """Accept holdings and withdrawals.

        Epoch and sequence tell what is new. The latest update is answered again if it is repeated,
        as its reply was lost; older ones, which were overtaken, change nothing.
        """
        known = self.state.members.find(request.node)
        refused = self._conflict(request, known)
        if refused is None and known is not None and _is_old(request, known):
            return (yield from self._repeated(request, known))
        refused = refused or self._too_much(request, known)
        if refused is not None:
            yield NodeRefused(request.node, refused.message)
            return refused
        if known is None or not known.has_lease:
            yield NodeJoined(request.node, request.address)
        yield Seen(request.node, request.address, request.epoch, request.sequence)
        yield Renewed(request.node)
        yield from self._withdraw(request)
        yield from self._hold(request, now)
        told = claims.told(self.state.catalogue, request.holdings, request.node)
        return self._ok(request.node, told)

    def renew(self, request: Renew) -> Decision[Ok | Error]:
        member = self.state.members.find(request.node)
        if member is None or member.epoch != request.epoch or member.left:
            return _unknown(request.node)
        if not member.has_lease:
            yield from _revived(member)
        yield Renewed(member.node)
        return self._ok(member.node)

    def leave(self, request: Leave) -> Decision[Ok | Error]:
        member = self.state.members.find(request.node)
        if member is None or member.epoch != request.epoch:
            return _unknown(request.node)
        reply = self._ok(request.node)
        if not member.left:
            yield NodeLeft(request.node)
            yield Gone(request.node, left=True)
            yield from departures.forgotten_if_empty(self.state, request.node)
        return reply

    def _repeated(self, request: Update, member: Member) -> Decision[Ok]:
        """Answer an update that was accepted before, or overtaken."""
        if request.sequence < member.sequence:
            return self._ok(request.node)
        if not member.left:
            if not member.has_lease:
                yield from _revived(member)
            yield Renewed(member.node)
        told = claims.told(self.state.catalogue, request.holdings, request.node)
        return self._ok(request.node, told)

    def _conflict(self, request: Update, known: Member | None) -> Error | None:
        """Refuse an update that contradicts a live node, or whose address no peer would accept."""
        node, address = request.node, request.address
        if not addresses.may_be_holder(address, self.state.initial.address):
            reason = f"other nodes would refuse to connect to {address}"
            return Error(WireCode.CONFLICT, f"{node} cannot be a holder: {reason}")
        if known is None or not known.has_lease:
            return None
        if address != known.address:
            remedy = f"stop it, or wait {self.state.settings.lease_s:.0f} s if it died"
            running = f"{node} is already running at {known.address}"
            return Error(WireCode.CONFLICT, f"{running}; {remedy}")
        if request.epoch < known.epoch:
            epochs = f"epoch {known.epoch}, this is {request.epoch}"
            newer = f"{node} has been restarted since ({epochs})"
            return Error(WireCode.CONFLICT, f"{newer}; stop the older process")
        return None

    def _too_much(self, request: Update, known: Member | None) -> Error | None:
        limits, catalogue = self.state.settings, self.state.catalogue
        wanted = {(holding.name, holding.id) for holding in request.holdings}
        found = [version for key in wanted if (version := catalogue.find(*key))]
        withdrawn = {(version.name, version.id) for version in self._withdrawn(request)} - wanted
        held_before = sum(version.is_held_by(request.node) for version in found)
        more = len(wanted) - held_before - len(withdrawn)
        held = len(catalogue.held_by(request.node)) + more
        for text, count, limit in (
            ("nodes", len(self.state.members.by_node) + (known is None), limits.max_nodes),
            ("versions", catalogue.version_count + len(wanted) - len(found), limits.max_versions),
            ("holdings", catalogue.holding_count + more, limits.max_holdings),
            ("holdings per node", held, limits.max_holdings_per_node),
        ):
            if count > limit:
                return Error(WireCode.TOO_MUCH, f"the tracker takes no more than {limit} {text}")
        return None

    def _withdraw(self, request: Update) -> Decision[None]:
        withdrawn = tuple(self._withdrawn(request))
        announced = {(each.name, each.id) for each in request.holdings} if withdrawn else ()
        for version in withdrawn:
            if (version.name, version.id) not in announced:
                yield HolderWithdrew(request.node, version.name)
                yield Withdrawn(version.name, version.id, request.node)

    def _withdrawn(self, request: Update) -> Iterator[Version]:
        if request.replace:
            yield from self.state.catalogue.held_by(request.node)
            return
        for name, content_id in dict.fromkeys((each.name, each.id) for each in request.withdrawn):
            version = self.state.catalogue.find(name, content_id)
            if version is not None and version.is_held_by(request.node):
                yield version

    def _hold(self, request: Update, now: float) -> Decision[None]:
        node = request.node
        for each in request.holdings:
            version = self.state.catalogue.find(each.name, each.id)
            publication = claims.publication(self.state.catalogue, version, each, node)
            if publication is None:
                yield self._refusal(node, each.name)
                continue
            if version is None:
                yield Published(each.name, each.id, each.size_bytes, *publication)
            elif version.published != publication:
                age_s = int(now - version.announced)
                yield Published(each.name, each.id, version.size_bytes, *publication, age_s)
            if version is None or not version.is_held_so(node, complete=each.complete):
                added = HolderAdded if each.complete else PartialHolderAdded
                yield added(node, each.name)
                yield Held(each.name, each.id, node, each.complete)

    def _refusal(self, node: str, name: str) -> ClaimRefused:
        newest = self.state.catalogue.newest(name)
        assert newest is not None, "the claim is refused because of it"
        return ClaimRefused(node, name, *newest.published)

    def _ok(self, node: str, told: tuple[Told, ...] = ()) -> Ok:
        lease_ms = round(1000 * self.state.settings.lease_s)
        return Ok(lease_ms=lease_ms, holdings=len(self.state.catalogue.held_by(node)), told=told)


def _revived(member: Member) -> Decision[None]:
    """Readmit a node that was silent."""
    yield NodeJoined(member.node, member.address)
    yield Seen(member.node, member.address, member.epoch, member.sequence)


def _is_old(request: Update, known: Member) -> bool:
    return request.epoch == known.epoch and request.sequence <= known.sequence


def _unknown(node: str) -> Error:
    return Error(WireCode.NOT_FOUND, f"{node} is not known here; announce first")

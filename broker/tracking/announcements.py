"""What nodes say of themselves: update, renew, leave. Answers no questions."""

from collections.abc import Iterator
from dataclasses import dataclass

from shoal.broker.tracking import claims
from shoal.broker.tracking.catalogue import Member, Version
from shoal.broker.tracking.events import (
    ClaimRefused,
    HolderAdded,
    HolderWithdrew,
    NodeForgotten,
    NodeJoined,
    NodeLeft,
    NodeRefused,
    PartialHolderAdded,
)
from shoal.broker.tracking.records import ForgetNode
from shoal.broker.tracking.state import State
from shoal.protocol import addresses
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Leave, Ok, Renew, Told, Update


@dataclass(frozen=True, slots=True)
class Announcements:
    """Puts into the state what nodes say, if it may be believed."""

    state: State

    def update(self, request: Update, now: float) -> Ok | Error:
        """Take up holdings and withdrawals.

        Epoch and sequence decide what is new (faults 67 to 70): the last update once more has lost
        its reply and is answered again, older ones change nothing.
        """
        known = self.state.members.get(request.node)
        refused = self._conflict(request, known)
        if refused is None and known is not None and _is_old(request, known):
            return self._repeated(request, known, now)
        refused = refused or self._too_much(request, known)
        if refused is not None:
            self.state.events.append(NodeRefused(request.node, refused.message))
            return refused
        member = self._accept(request, now)
        self._drop(request, member, now)
        self._add(request, member, now)
        return self._ok(member, claims.told(self.state.catalogue, request.holdings, member))

    def renew(self, request: Renew, now: float) -> Ok | Error:
        member = self.state.members.get(request.node)
        if member is None or member.epoch != request.epoch or member.left:
            return _unknown(request.node)
        self._revive(member, now)
        return self._ok(member)

    def leave(self, request: Leave, now: float) -> Ok | Error:
        member = self.state.members.get(request.node)
        if member is None or member.epoch != request.epoch:
            return _unknown(request.node)
        if not member.left:
            member.left = True
            self.state.leases.end(request.node)
            self.state.fell_silent(member, now)
            self.state.events.append(NodeLeft(request.node))
            self.forget_if_empty(member)
        return self._ok(member)

    def _repeated(self, request: Update, member: Member, now: float) -> Ok:
        """Answer an update that was taken before, or overtaken."""
        if request.sequence < member.sequence:
            return self._ok(member)
        if not member.left:
            self._revive(member, now)
        return self._ok(member, claims.told(self.state.catalogue, request.holdings, member))

    def forget_if_empty(self, member: Member) -> None:
        """Forget a node that is gone and holds nothing, unless the cluster file has it.

        A node of the cluster file is remembered to have spoken: its initial holdings are over.
        """
        is_gone = not self.state.leases.is_alive(member.node)
        if is_gone and not member.holdings and member.node not in self.state.initial.nodes:
            del self.state.members[member.node]
            self.state.silences.end(member.node)
            self.state.changes.append(ForgetNode(member.node))

    def forget(self, member: Member, now: float) -> None:
        """Forget a node that has been gone for long, and what it holds, as `forget_if_empty`."""
        if member.node in self.state.initial.nodes:
            return
        self.state.events.append(NodeForgotten(member.node))
        for version in list(member.holdings.values()):
            self.state.catalogue.remove_holder(version, member, now)
        self.forget_if_empty(member)

    def _conflict(self, request: Update, known: Member | None) -> Error | None:
        """Refuse what contradicts a node that lives, or could not be handed out."""
        node, address = request.node, request.address
        if not addresses.may_be_holder(address, self.state.initial.address):
            reason = f"nodes do not connect to {address} at a tracker's word"
            return Error(WireCode.CONFLICT, f"{node} cannot be a holder: {reason}")
        if known is None or not self.state.leases.is_alive(node):
            return None
        if address != known.address:
            remedy = f"stop it, or wait {self.state.settings.lease_s:.0f} s if it died"
            running = f"{node} is already running at {known.address}"
            return Error(WireCode.CONFLICT, f"{running}; {remedy}")
        if request.epoch < known.epoch:
            since = f"{node} was started again since (epoch {known.epoch}, this is {request.epoch})"
            return Error(WireCode.CONFLICT, f"{since}; stop the older one")
        return None

    def _too_much(self, request: Update, known: Member | None) -> Error | None:
        limits, catalogue = self.state.settings, self.state.catalogue
        wanted = {(holding.name, holding.id) for holding in request.holdings}
        found = [version for key in wanted if (version := catalogue.find(*key))]
        held = known.holdings if known else {}
        added = len(wanted) - sum(version.serial in held for version in found)
        kept = 0 if request.replace else len(held)
        for text, count, limit in (
            ("nodes", len(self.state.members) + (known is None), limits.max_nodes),
            ("versions", catalogue.version_count + len(wanted) - len(found), limits.max_versions),
            ("holdings", catalogue.holding_count + added, limits.max_holdings),
            ("holdings of one node", kept + added, limits.max_holdings_per_node),
        ):
            if count > limit:
                return Error(WireCode.TOO_MUCH, f"the tracker takes no more than {limit} {text}")
        return None

    def _accept(self, request: Update, now: float) -> Member:
        """Note that the node lives, where, and how far it got."""
        member = self.state.members.get(request.node)
        if member is None:
            member = Member(request.node, request.address, request.epoch, request.sequence)
            self.state.members[request.node] = member
            self.state.initial_holdings.supersede(request.node)
        member.address, member.epoch = request.address, request.epoch
        member.sequence, member.left = request.sequence, False
        member.silent_since = None
        self.state.save_member(member, now)
        self._revive(member, now)
        return member

    def _drop(self, request: Update, member: Member, now: float) -> None:
        announced = {(holding.name, holding.id) for holding in request.holdings}
        for version in list(self._withdrawn(request, member)):
            if (version.name, version.id) not in announced:
                self.state.catalogue.remove_holder(version, member, now)
                self.state.events.append(HolderWithdrew(member.node, version.name))

    def _withdrawn(self, request: Update, member: Member) -> Iterator[Version]:
        if request.replace:
            yield from member.holdings.values()
            return
        for name, content_id in dict.fromkeys((each.name, each.id) for each in request.withdrawn):
            version = self.state.catalogue.find(name, content_id)
            if version is not None and version.serial in member.holdings:
                yield version

    def _add(self, request: Update, member: Member, now: float) -> None:
        catalogue = self.state.catalogue
        for each in request.holdings:
            version = claims.accepted(catalogue, each, member.node, now)
            if version is None:
                self._tell_of_refusal(member.node, each.name)
            elif catalogue.add_holder(version, member, complete=each.complete):
                added = HolderAdded if each.complete else PartialHolderAdded
                self.state.events.append(added(member.node, each.name))

    def _tell_of_refusal(self, node: str, name: str) -> None:
        newest = self.state.catalogue.newest(name)
        assert newest is not None, "it is why the claim is refused"
        self.state.events.append(ClaimRefused(node, name, *newest.published))

    def _revive(self, member: Member, now: float) -> None:
        if not self.state.leases.is_alive(member.node):
            self.state.events.append(NodeJoined(member.node, member.address))
        if member.silent_since is not None:
            member.silent_since = None
            self.state.save_member(member, now)
        member.last_seen = now
        self.state.silences.end(member.node)
        self.state.leases.renew(member.node, now)

    def _ok(self, member: Member, told: tuple[Told, ...] = ()) -> Ok:
        lease_ms = round(1000 * self.state.settings.lease_s)
        return Ok(lease_ms=lease_ms, holdings=len(member.holdings), told=told)


def _is_old(request: Update, known: Member) -> bool:
    return request.epoch == known.epoch and request.sequence <= known.sequence


def _unknown(node: str) -> Error:
    return Error(WireCode.NOT_FOUND, f"{node} is not known here; announce first")

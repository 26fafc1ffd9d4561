"""What nodes say about themselves: update, renew, leave. Answers no questions."""

import itertools
from collections.abc import Collection, Container, Iterable, Iterator
from dataclasses import dataclass

import msgspec
from shoal.broker.tracking import claims, departures
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.changes import (
    UNPUBLISHED,
    Gone,
    Held,
    Published,
    Renewed,
    Seen,
    Withdrawn,
)
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
from shoal.broker.tracking.publishing import Publishing
from shoal.broker.tracking.push_counts import reached
from shoal.broker.tracking.room import Room
from shoal.broker.tracking.speakers import Speakers
from shoal.broker.tracking.state import Decision, State
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import (
    MAX_UPDATE_HOLDINGS,
    Error,
    Holding,
    Leave,
    Ok,
    Renew,
    Told,
    Update,
)
from shoal.protocol.permits import Asker


@dataclass(frozen=True, slots=True)
class Announcements:
    """Decides which announcements to believe."""

    state: State
    speakers: Speakers
    publishing: Publishing
    room: Room
    shares: bool = False  # What this tracker knows already, others may just be taking back.

    def update(self, request: Update, now: float, asker: Asker) -> Decision[Ok | Error]:
        """Accept holdings and withdrawals.

        Epoch and sequence tell what is new. The latest update is answered again if it is repeated,
        as its reply was lost; older ones, which were overtaken, change nothing.
        """
        known = self.state.members.find(request.node)
        refused = self.speakers.refuse_update(request, asker)
        is_back = known is not None and self.speakers.takes_back(request, known)
        refused = refused or self._conflict(request, None if is_back else known)
        if refused is None and known is not None and not is_back and _is_old(request, known):
            return (yield from self._repeated(request, known, now, asker))
        if refused is None:
            refused = yield from self.room.make(request, tuple(self._withdrawn(request)))
        if refused is not None:
            yield NodeRefused(request.node, refused.message)
            return refused
        if known is None or not known.has_lease:
            yield NodeJoined(request.node, request.address)
        elif is_back:  # Whoever had the name is gone, however far it had counted.
            yield Gone(request.node, left=True)
        voided = self.state.voided.pop(request.node, ())
        if voided:  # It has not heard of that yet.
            request = self._without(request, voided)
        replaces = request.replace and self.shares
        withdrawn = tuple(self._withdrawn(request))
        yield Seen(request.node, request.address, request.epoch, request.sequence, replaces)
        yield Renewed(request.node)
        token = yield from self.speakers.entrusted(request.node, request.token, asker)
        yield from self._withdraw(request, withdrawn)
        yield from self._hold(request, now)
        told = self._told(request, now)
        if voided:
            told = (*self._outcomes(request.node, voided), *told)[:MAX_UPDATE_HOLDINGS]
        return self._ok(request.node, told, token)

    def renew(self, request: Renew, asker: Asker) -> Decision[Ok | Error]:
        member = self.state.members.find(request.node)
        if member is None:
            return _unknown(request.node)
        refused = self.speakers.refuse(request, member, asker)
        if refused is not None:
            return refused
        if member.epoch != request.epoch or member.left or (self.shares and member.has_gap):
            return _unknown(request.node)
        if member.sequence < request.sequence:  # The last updates were lost with the power.
            return _unknown(request.node)
        if not member.has_lease:
            yield from revived(member)
        is_listed = member.node in self.state.initial.nodes  # Others' words are not kept.
        yield Renewed(member.node, request.doing if is_listed else None, request.wants)
        if request.token:
            yield from self.speakers.entrusted(member.node, request.token, asker)
        return self._ok(member.node, self._voided(member.node))

    def leave(self, request: Leave, asker: Asker) -> Decision[Ok | Error]:
        member = self.state.members.find(request.node)
        if member is None:
            return _unknown(request.node)
        refused = self.speakers.refuse(request, member, asker)
        if refused is not None:
            return refused
        if member.epoch != request.epoch:
            return _unknown(request.node)
        reply = self._ok(request.node)
        if not member.left:
            yield NodeLeft(request.node)
            yield Gone(request.node, left=True)
            yield from departures.forgotten_if_empty(self.state, request.node)
        return reply

    def _repeated(self, request: Update, member: Member, now: float, asker: Asker) -> Decision[Ok]:
        """Answer an update that was accepted before, or overtaken."""
        if request.sequence < member.sequence:
            return self._ok(request.node)
        token = yield from self.speakers.entrusted(request.node, request.token, asker)
        if not member.left:
            if not member.has_lease:
                yield from revived(member)
            yield Renewed(member.node)
        return self._ok(request.node, self._told(request, now), token)

    def _conflict(self, request: Update, known: Member | None) -> Error | None:
        """Refuse an update that contradicts a live node."""
        node, address = request.node, request.address
        if known is None or not known.has_lease:
            return None
        if address != known.address:
            remedy = f"stop it, or wait {self.state.settings.lease_s:.0f} s if it died"
            running = f"{node} is already running at {known.address}"
            return Error(WireCode.CONFLICT, f"{running}; {remedy}")
        if request.epoch < known.epoch:
            newer = f"{node} has been restarted since"
            return Error(WireCode.CONFLICT, f"{newer}; stop the older process")
        return None

    def _withdraw(self, request: Update, withdrawn: Collection[Version]) -> Decision[None]:
        known = {(each.name, each.id) for each in withdrawn}
        said = {(each.name, each.id) for each in request.withdrawn} if self.shares else known
        announced = {(each.name, each.id) for each in request.holdings if known or said}
        for version in withdrawn:
            if (version.name, version.id) not in announced:
                yield HolderWithdrew(request.node, version.name)
                yield Withdrawn(version.name, version.id, request.node)
        for key in sorted(said - known - announced):
            yield Withdrawn(*key, request.node)

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
            permit = self.publishing.permit(each.name, node, now)
            vouched = claims.publication(self.state.catalogue, version, each, node, permit)
            if vouched is None:
                yield self._refusal(node, each.name, allowed=permit.publishes)
                continue
            is_claim = each.claims and vouched.publication.publisher == node
            if version is None or self.shares or _differs(version, vouched):
                yield _published(each, version, vouched, now, is_claim=is_claim)
            if is_claim:
                self.publishing.published(each.name, node)
            if version is None or not version.is_held_so(node, complete=each.complete):
                added = HolderAdded if each.complete else PartialHolderAdded
                yield added(node, each.name)
                yield Held(each.name, each.id, node, each.complete)
                yield from self._push_news(each, node)
            elif self.shares:
                yield Held(each.name, each.id, node, each.complete)

    def _push_news(self, held: Holding, node: str) -> Decision[None]:
        version = self.state.catalogue.find(held.name, held.id)
        news = reached(self.state, version, node) if version and held.complete else None
        if news is not None:
            yield news

    def _refusal(self, node: str, name: str, *, allowed: bool) -> ClaimRefused:
        newest = self.state.catalogue.newest(name)
        published = UNPUBLISHED if newest is None else newest.published
        return ClaimRefused(node, name, *published, allowed)

    def _told(self, request: Update, now: float) -> tuple[Told, ...]:
        def may_publish(name: str) -> bool:
            return self.publishing.permit(name, request.node, now).publishes

        return claims.told(self.state.catalogue, request.holdings, request.node, may_publish)

    def _voided(self, node: str) -> tuple[Told, ...]:
        """Return, once, what has become of a node's claims that came too late."""
        keys = self.state.voided.pop(node, ()) if self.state.voided else ()
        return tuple(itertools.islice(self._outcomes(node, keys), MAX_UPDATE_HOLDINGS))

    def _outcomes(self, node: str, keys: Iterable[tuple[str, str]]) -> Iterator[Told]:
        return (claims.outcome(self.state.catalogue, *key, node) for key in keys)

    def _without(self, request: Update, voided: Container[tuple[str, str]]) -> Update:
        """Return an update without claims that were taken and turned out to be late.

        What others hold too, the sender holds as they do.
        """
        kept = []
        for each in request.holdings:
            if each.claims or each.publisher != request.node or (each.name, each.id) not in voided:
                kept.append(each)
                continue
            version = self.state.catalogue.find(each.name, each.id)
            if version is not None and version.is_held:
                kept.append(msgspec.structs.replace(each, version=0, publisher=None))
        return msgspec.structs.replace(request, holdings=tuple(kept))

    def _ok(self, node: str, told: tuple[Told, ...] = (), token: str = "") -> Ok:
        lease_ms = round(1000 * self.state.settings.lease_s)
        revision = self.state.wishes.revision if node in self.state.initial.nodes else 0
        held, lent = self.state.catalogue.held_by(node), self.state.lending.lent(node)
        return Ok(lease_ms, len(held), told, token, revision, lent)


def _published(
    holding: Holding,
    known: Version | None,
    vouched: claims.Vouched,
    now: float,
    *,
    is_claim: bool,
) -> Published:
    """Return which version something is."""
    size_bytes, age_s = holding.size_bytes, 0
    if known is not None:
        size_bytes, age_s = known.size_bytes, int(now - known.announced)
    what = holding.name, holding.id, size_bytes
    return Published(*what, *vouched.publication, age_s, vouched.is_first_hand, is_claim)


def _differs(known: Version, vouched: claims.Vouched) -> bool:
    return (known.published, known.is_first_hand) != vouched


def revived(member: Member) -> Decision[None]:
    """Readmit a node that was silent."""
    yield NodeJoined(member.node, member.address)
    yield Seen(member.node, member.address, member.epoch, member.sequence)


def _is_old(request: Update, known: Member) -> bool:
    return request.epoch == known.epoch and request.sequence <= known.sequence


def _unknown(node: str) -> Error:
    return Error(WireCode.NOT_FOUND, f"{node} is not known here; announce first")

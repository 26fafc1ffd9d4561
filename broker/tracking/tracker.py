"""Who holds what, and who is sent to whom: the tracker's rules. Knows no sockets, disks or clocks.

Each request is answered at once. The answer comes with the changes that must outlive the process,
which the driver saves before it sends the answer, and with events for the log.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, assert_never

import msgspec
from shoal.broker.tracking import departures
from shoal.broker.tracking.announcements import Announcements, revived
from shoal.broker.tracking.answers import Answers
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.census import Census, Counting
from shoal.broker.tracking.changes import Change, Disowned, Entry, Offered, Renewed, Withdrawn
from shoal.broker.tracking.events import Event, HolderTakenOff, PublisherAllowed, Queried
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.publishing import Publishing
from shoal.broker.tracking.pushes import Pushes
from shoal.broker.tracking.reconciling import say_again
from shoal.broker.tracking.room import Room
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.sharing import Sharing, offers
from shoal.broker.tracking.speakers import Speakers
from shoal.broker.tracking.state import Decision, State, T
from shoal.protocol import manifest, messages, names, permits, pushing
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Holders, Leave, List, Ok, Query, Renew, Status, Update
from shoal.protocol.permits import Asker, Who
from shoal.protocol.pushing import Allow, News, Push, Unpush, Verdicts, Wishes

if TYPE_CHECKING:
    from random import Random

MAX_SHOWN_CHARACTERS = 200  # Of a name in an error's text, which has a limit of its own.
TOKEN_BITS = 128
REVISION_BITS = 40  # So that no two starts of a tracker begin with the same.


class Outcome(msgspec.Struct, frozen=True):
    """What a request led to."""

    reply: messages.TrackerReply
    changes: tuple[Change, ...]  # to be saved before the reply is sent
    events: tuple[Event, ...]
    notified: tuple[str, ...] = ()  # Nodes that are to hear the news at once.
    promises: bool = False  # The reply holds only if all that was decided has been saved.


class Expiry(msgspec.Struct, frozen=True):
    """What the passing of time led to."""

    changes: tuple[Change, ...]
    events: tuple[Event, ...]
    notified: tuple[str, ...] = ()  # Nodes that are to hear at once what they may send.


class Tracker:
    """The state machine. `now` is monotonic, in seconds, and never goes back."""

    def __init__(  # noqa: PLR0913 (most are given by name)
        self,
        initial: Initial,
        rng: "Random",
        now: float,
        log: Iterable[Change] = (),
        settings: TrackerSettings | None = None,
        token_rng: "Random | None" = None,
        *,
        shares: bool = False,
    ) -> None:
        """Start from the log of an earlier process.

        `token_rng` makes the nodes' tokens, and nobody must be able to guess them. By default it
        is `rng`, which tells what it will draw.

        Nodes that were alive then get a lease, in which to renew. They are handed out meanwhile,
        but not called alive.

        `shares`: other trackers append to the log too, see `absorb`.
        """
        self._started = now
        revision = 1 + rng.getrandbits(REVISION_BITS)
        self._state = State(initial, settings or TrackerSettings(), revision)
        self._state.replay(log, now)
        self._answers = Answers(self._state, rng)
        self._speakers = Speakers(self._state, _tokens(token_rng or rng))
        self._publishing = Publishing(self._state)
        self._room = Room(self._state)
        self._announcements = Announcements(
            self._state, self._speakers, self._publishing, self._room, shares
        )
        self._pushes = Pushes(self._state, shares)
        self._counting = Counting(self._state)
        self._sharing = Sharing(self._state)
        self._apply = self._sharing.apply if shares else self._state.apply
        self._notified: tuple[str, ...] = ()
        self._changes: list[Change] = []  # Decided and applied, but not handed over yet.
        self._events: list[Event] = []
        self._nothing_is_due_before = now

    @property
    def deadline(self) -> float | None:
        """When the next lease runs out or a node is forgotten: `expire` has something to tell."""
        if self._room.is_crowded:
            return self._started
        times = self._state.members.deadline, self._state.lending.deadline
        return min((time for time in times if time is not None and time < math.inf), default=None)

    @property
    def revision(self) -> int:
        """A number that changes with what nodes shall hold; 0 if nothing is wished."""
        return self._state.wishes.revision

    def news_for(self, node: str) -> News:
        """Return what a node is to hear without its asking."""
        revision = self.revision if node in self._state.initial.nodes else 0
        return News(revision, self._state.lending.lent(node))

    def census(self, now: float) -> Census:
        """Return what is known, in numbers."""
        return self._counting.census(now)

    def learn(self, initial: Initial) -> None:
        """Go by another cluster file from now on; its holdings count at the start alone."""
        self._state.learn(initial)

    def handle(self, request: messages.TrackerRequest, now: float, asker: Asker) -> Outcome:
        """Answer a request, if the asker may send it."""
        if now >= self._nothing_is_due_before:
            self._end_what_is_overdue(now)
        refusal = None if asker.who is None else permits.refusal(asker.who, request)
        if refusal is not None:
            return Outcome(Error(WireCode.NOT_ALLOWED, refusal), *self._taken())
        self._notified = ()
        reply = self._reply(request, now, asker)
        promises = isinstance(request, Push | Unpush) and isinstance(reply, Ok)
        return Outcome(reply, *self._taken(), self._notified, promises)

    def _reply(
        self, request: messages.TrackerRequest, now: float, asker: Asker
    ) -> messages.TrackerReply:
        reply: messages.TrackerReply
        match request:
            case Query():
                reply = self._decide(self._query(request, now, asker), now)
            case Update():
                reply = self._decide(self._announcements.update(request, now, asker), now)
            case Renew():
                reply = self._decide(self._announcements.renew(request, asker), now)
            case Leave():
                reply = self._decide(self._announcements.leave(request, asker), now)
            case List():
                reply = self._answers.files(request.after, now)
            case Status():
                reply = self._status(request, now)
            case Allow():
                reply = self._decide(self._allow(request, now, asker.who), now)
            case _:
                reply = self._about_pushes(request, now, asker)
        return reply

    def _about_pushes(
        self, request: Push | Unpush | pushing.Pushes | Wishes | Verdicts, now: float, asker: Asker
    ) -> messages.TrackerReply:
        reply: messages.TrackerReply
        match request:
            case Push():
                reply, self._notified = self._decide(self._pushes.push(request, asker.who), now)
            case Unpush():
                reply, self._notified = self._decide(self._pushes.unpush(request, asker.who), now)
            case pushing.Pushes():
                reply = self._pushes.all(request.after, now)
            case Wishes():
                reply = self._pushes.wishes_of(request.node, request.after)
            case Verdicts():
                reply = self._pushes.verdicts(request)
            case _:
                assert_never(request)
        return reply

    def expire(self, now: float) -> Expiry:
        """Let leases run out that were not renewed in time."""
        self._end_what_is_overdue(now)
        return Expiry(*self._taken(), tuple(self._state.lending.settle(now)))

    def absorb(self, others: Sequence[Change], confirmed: int, now: float) -> tuple[str, ...]:
        """Take in what other trackers have decided before this one's unconfirmed changes.

        Of these, the oldest `confirmed` are in the log now. Returns the nodes that are to hear the
        news at once. What this leads to comes with the next outcome.
        """
        state, sharing = self._state, self._sharing
        before = state.wishes.revision
        sharing.absorb(others, confirmed, now)
        for member in sharing.falsely_gone(others, now):
            self._decide(revived(member), now)
        if others:
            self._nothing_is_due_before = now
        return tuple(state.members.by_node) if state.wishes.revision != before else ()

    def await_reload(self) -> None:
        """Note that nothing will be confirmed before `reload`."""
        self._sharing.await_another()

    def folded(self, log: Iterable[Change], now: float) -> State:
        """Return what another log comes to, for `reload`. For any thread, as it takes long."""
        return self._state.folded(log, now)

    def reload(self, folded: State, now: float) -> None:
        """Go by another log from now on, as the store has lost some of this one.

        What it does not have and nodes or users have said comes with the next outcome. Nothing that
        came with earlier ones awaits confirmation any more.
        """
        known = self._state.restart(folded, now)
        self._sharing.has_another()
        self._changes.clear()
        self._nothing_is_due_before = now
        self._decide(say_again(self._state, known, now), now)
        self._state.members.settle(offers(known.members.by_node.values()))

    def taken_renewed(self) -> tuple[Renewed, ...]:
        """Return who renewed a lease here since this was asked last, for other trackers."""
        return self._sharing.taken_renewed()

    def hear(self, renewed: Iterable[Renewed], now: float) -> None:
        """Note who renewed a lease with other trackers."""
        self._sharing.hear(renewed, now)

    def store_is_away(self, *, is_away: bool) -> None:
        """Note whether it is unknown who renews with other trackers; their leases last so long."""
        self._sharing.is_away = is_away

    def _end_what_is_overdue(self, now: float) -> None:
        self._decide(departures.overdue(self._state, now, self._sharing.suspends), now)
        self._decide(self._room.settle(), now)
        is_crowded, due = self._room.is_crowded, departures.next_due(self._state, now)
        self._nothing_is_due_before = now if is_crowded else due

    def _decide(self, decision: Decision[T], now: float) -> T:
        """Carry out the steps of a decision one by one, and return its reply."""
        apply, changes, events = self._apply, self._changes, self._events
        while True:
            try:
                step = next(decision)
            except StopIteration as end:
                reply: T = end.value
                return reply
            if not isinstance(step, Entry):
                events.append(step)
                continue
            apply(step, now)
            if not isinstance(step, Renewed | Offered):
                changes.append(step)

    def _taken(self) -> tuple[tuple[Change, ...], tuple[Event, ...]]:
        changes, events = tuple(self._changes), tuple(self._events)
        self._changes.clear()
        self._events.clear()
        return changes, events

    def _query(self, request: Query, now: float, asker: Asker) -> Decision[Holders | Error]:
        if request.prefix and manifest.is_id(request.what):
            request = msgspec.structs.replace(request, prefix="")  # It is whole.
        if request.after is not None:
            return self._answers.everybody(request, now) or _not_found(request)
        may_take_off = not request.partial and self._speakers.may_take_off(request, asker)
        if request.node is not None and may_take_off:
            yield from self._take_off(request, request.node)
        reply = self._answers.holders(request, now)
        if reply is None:
            yield Queried(request.what, request.node, (), ())
            return _not_found(request)
        yield Queried(request.what, request.node, _nodes(reply.holders), _nodes(reply.offline))
        return reply

    def _take_off(self, request: Query, asker: str) -> Decision[None]:
        """Remove the asker from the holders of what it requests: it has lost it."""
        what = request.what
        if not request.prefix and self._state.initial_holdings.is_holder(what, asker):
            yield HolderTakenOff(asker, what)
            yield Disowned(what, asker)
        for version in self._meant(request, asker):
            if version.is_held_by(asker):
                yield HolderTakenOff(asker, version.name)
                yield Withdrawn(version.name, version.id, asker)
        yield from departures.forgotten_if_empty(self._state, asker)

    def _meant(self, request: Query, asker: str) -> Iterable[Version]:
        """Yield the versions that are meant: of a name, down to the first that others hold too."""
        if manifest.is_id(request.what):
            yield from self._state.catalogue.versions_with(request.what)
            return
        for version in self._state.catalogue.versions(request.what, request.prefix):
            held_by_others = version.other_holder_count(asker) > 0
            yield version
            if held_by_others:
                return

    def _allow(self, request: Allow, now: float, admin: Who | None) -> Decision[Ok | Error]:
        if admin is None:
            return Error(WireCode.NOT_ALLOWED, "without keys every node may publish; just do so")
        self._publishing.allow(request.name, request.node, now)
        yield PublisherAllowed(admin.name, request.node, request.name)
        return Ok(lease_ms=0, holdings=0)

    def _status(self, request: Status, now: float) -> messages.TrackerStatus:
        nodes, following = self._answers.nodes(request.after, now)
        uptime_ms = int(1000 * (now - self._started))
        return messages.TrackerStatus(self._state.initial.address, uptime_ms, nodes, following)


def _tokens(rng: "Random") -> Callable[[], str]:
    """Return what makes one token after another."""
    return lambda: f"{rng.getrandbits(TOKEN_BITS):032x}"


def _not_found(request: Query) -> Error:
    prefix = f"@{request.prefix}" if request.prefix else ""
    return Error(WireCode.NOT_FOUND, f"no such file: {_shown(request.what)}{prefix}")


def _nodes(holders: Sequence[messages.Holder]) -> tuple[str, ...]:
    return tuple(holder.node for holder in holders)


def _shown(name: str) -> str:
    shown = names.display(name)
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else shown[:MAX_SHOWN_CHARACTERS] + "…"

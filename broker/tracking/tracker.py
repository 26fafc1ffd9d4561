"""Who holds what, and who is sent to whom: the tracker's rules. Knows no sockets, disks or clocks.

Each request is answered at once. The answer comes with the changes that must outlive the process,
which the driver saves before it sends the answer, and with events for the log.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, assert_never

import msgspec
from shoal.broker.tracking import departures
from shoal.broker.tracking.announcements import Announcements
from shoal.broker.tracking.answers import Answers
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.changes import Change, Disowned, Entry, Renewed, Withdrawn
from shoal.broker.tracking.events import Event, HolderTakenOff, Queried
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import Decision, State, T
from shoal.protocol import manifest, messages, names
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Holders, Leave, List, Query, Renew, Status, Update

if TYPE_CHECKING:
    from random import Random

MAX_SHOWN_CHARACTERS = 200  # Of a name in an error's text, which has a limit of its own.


class Outcome(msgspec.Struct, frozen=True):
    """What a request led to."""

    reply: messages.TrackerReply
    changes: tuple[Change, ...]  # to be saved before the reply is sent
    events: tuple[Event, ...]


class Expiry(msgspec.Struct, frozen=True):
    """What the passing of time led to."""

    changes: tuple[Change, ...]
    events: tuple[Event, ...]


class Tracker:
    """The state machine. `now` is monotonic, in seconds, and never goes back."""

    def __init__(
        self,
        initial: Initial,
        rng: "Random",
        now: float,
        log: Iterable[Change] = (),
        settings: TrackerSettings | None = None,
    ) -> None:
        """Start from the log of an earlier process.

        Nodes that were alive then get a lease, in which to renew. They are handed out meanwhile,
        but not called alive.
        """
        self._started = now
        self._state = State(initial, settings or TrackerSettings())
        self._state.replay(log, now)
        self._answers = Answers(self._state, rng)
        self._announcements = Announcements(self._state)
        self._changes: list[Change] = []  # Decided and applied, but not handed over yet.
        self._events: list[Event] = []
        self._nothing_is_due_before = now

    @property
    def deadline(self) -> float | None:
        """When the next lease runs out or a node is forgotten: `expire` has something to tell."""
        return self._state.members.deadline

    def handle(self, request: messages.TrackerRequest, now: float) -> Outcome:
        """Answer a request."""
        if now >= self._nothing_is_due_before:
            self._end_what_is_overdue(now)
        reply: messages.TrackerReply
        match request:
            case Query():
                reply = self._decide(self._query(request, now), now)
            case Update():
                reply = self._decide(self._announcements.update(request, now), now)
            case Renew():
                reply = self._decide(self._announcements.renew(request), now)
            case Leave():
                reply = self._decide(self._announcements.leave(request), now)
            case List():
                reply = self._answers.files(request.after, now)
            case Status():
                reply = self._status(request, now)
            case _:
                assert_never(request)
        return Outcome(reply, *self._taken())

    def expire(self, now: float) -> Expiry:
        """Let leases run out that were not renewed in time."""
        self._end_what_is_overdue(now)
        return Expiry(*self._taken())

    def _end_what_is_overdue(self, now: float) -> None:
        self._decide(departures.overdue(self._state, now), now)
        self._nothing_is_due_before = departures.next_due(self._state, now)

    def _decide(self, decision: Decision[T], now: float) -> T:
        """Carry out the steps of a decision one by one, and return its reply."""
        apply, changes, events = self._state.apply, self._changes, self._events
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
            if not isinstance(step, Renewed):
                changes.append(step)

    def _taken(self) -> tuple[tuple[Change, ...], tuple[Event, ...]]:
        changes, events = tuple(self._changes), tuple(self._events)
        self._changes.clear()
        self._events.clear()
        return changes, events

    def _query(self, request: Query, now: float) -> Decision[Holders | Error]:
        if request.prefix and manifest.is_id(request.what):
            request = msgspec.structs.replace(request, prefix="")  # It is whole.
        if request.after is not None:
            return self._answers.everybody(request, now) or _not_found(request)
        if request.node is not None and not request.partial:
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

    def _status(self, request: Status, now: float) -> messages.TrackerStatus:
        nodes, following = self._answers.nodes(request.after, now)
        uptime_ms = int(1000 * (now - self._started))
        return messages.TrackerStatus(self._state.initial.address, uptime_ms, nodes, following)


def _not_found(request: Query) -> Error:
    prefix = f"@{request.prefix}" if request.prefix else ""
    return Error(WireCode.NOT_FOUND, f"no such file: {_shown(request.what)}{prefix}")


def _nodes(holders: Sequence[messages.Holder]) -> tuple[str, ...]:
    return tuple(holder.node for holder in holders)


def _shown(name: str) -> str:
    shown = names.display(name)
    return shown if len(shown) <= MAX_SHOWN_CHARACTERS else shown[:MAX_SHOWN_CHARACTERS] + "…"

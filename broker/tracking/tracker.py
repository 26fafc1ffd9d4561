"""Who holds what, and who is told: the tracker's rules. Knows no sockets, disks or clocks.

Each request is answered at once. What must outlive the process, and what happened, come with the
answer: whoever drives the tracker saves the one before the answer is sent, and tells the other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import msgspec
from shoal.broker.tracking.announcements import Announcements
from shoal.broker.tracking.answers import Answers
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.events import Event, HolderTakenOff, NodeFellSilent, Queried
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.records import Change, DisownedRecord, DurableState
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State, restored
from shoal.protocol import manifest, messages, names
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Holders, Leave, List, Query, Renew, Status, Update

if TYPE_CHECKING:
    from random import Random

MAX_SHOWN_CHARACTERS = 200  # Of a name in an error's text, which has a limit of its own.


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a request led to."""

    reply: messages.TrackerReply
    changes: tuple[Change, ...]  # to be saved before the reply is sent
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Expiry:
    """What the mere passing of time led to."""

    changes: tuple[Change, ...]
    events: tuple[Event, ...]


class Tracker:
    """The state machine. `now` is monotonic, in seconds, and never goes back."""

    def __init__(
        self,
        initial: Initial,
        rng: "Random",
        now: float,
        remembered: DurableState | None = None,
        settings: TrackerSettings | None = None,
    ) -> None:
        remembered, settings = remembered or DurableState(), settings or TrackerSettings()
        self._started = now
        self._state: State = restored(initial, settings, remembered, now)
        self._answers = Answers(self._state, rng)
        self._announcements = Announcements(self._state)

    @property
    def deadline(self) -> float | None:
        """When the next lease ends, or a node is forgotten: `expire` has something to tell."""
        times = self._state.leases.deadline, self._state.silences.deadline
        return min((time for time in times if time is not None), default=None)

    def handle(self, request: messages.TrackerRequest, now: float) -> Outcome:
        """Answer a request."""
        self._end_what_is_overdue(now)
        reply: messages.TrackerReply
        match request:
            case Query():
                reply = self._query(request, now)
            case Update():
                reply = self._announcements.update(request, now)
            case Renew():
                reply = self._announcements.renew(request, now)
            case Leave():
                reply = self._announcements.leave(request, now)
            case List():
                reply = self._answers.files(request.after, now)
            case Status():
                reply = self._status(request, now)
            case _:
                assert_never(request)
        return Outcome(reply, *self._taken())

    def expire(self, now: float) -> Expiry:
        """Let leases end that were not renewed in time."""
        self._end_what_is_overdue(now)
        return Expiry(*self._taken())

    def _taken(self) -> tuple[tuple[Change, ...], tuple[Event, ...]]:
        changes, events = tuple(self._state.changes), tuple(self._state.events)
        self._state.changes.clear()
        self._state.events.clear()
        return changes, events

    def _end_what_is_overdue(self, now: float) -> None:
        for node in self._state.leases.expire(now):
            self._state.events.append(NodeFellSilent(node))
            self._state.fell_silent(self._state.members[node], now)
            self._announcements.forget_if_empty(self._state.members[node])
        for node in self._state.silences.expire(now):
            self._announcements.forget(self._state.members[node], now)
        self._state.catalogue.forget_unheld(since=now - self._state.settings.lease_s)

    def _query(self, request: Query, now: float) -> Holders | Error:
        if request.prefix and manifest.is_id(request.what):
            request = msgspec.structs.replace(request, prefix="")  # It is whole.
        if request.after is not None:
            return self._answers.everybody(request, now) or _not_found(request)
        if request.node is not None and not request.partial:
            self._take_off(request, request.node, now)
        reply = self._answers.holders(request, now)
        if reply is None:
            self._state.events.append(Queried(request.what, request.node, (), ()))
            return _not_found(request)
        holders, offline = _nodes(reply.holders), _nodes(reply.offline)
        self._state.events.append(Queried(request.what, request.node, holders, offline))
        return reply

    def _take_off(self, request: Query, asker: str, now: float) -> None:
        """Remove the asker from what it would be sent for, and so does not have (S4)."""
        what = request.what
        if not request.prefix and self._state.initial_holdings.disown(what, asker):
            self._state.changes.append(DisownedRecord(what, asker))
            self._state.events.append(HolderTakenOff(asker, what))
        member = self._state.members.get(asker)
        if member is None:
            return
        for version in self._meant(request, asker):
            if version.is_held_by(asker):
                self._state.catalogue.remove_holder(version, member, now)
                self._state.events.append(HolderTakenOff(asker, version.name))
        self._announcements.forget_if_empty(member)

    def _meant(self, request: Query, asker: str) -> Iterable[Version]:
        """Yield the versions that are meant: of a name, down to one that others hold too."""
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

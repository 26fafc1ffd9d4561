"""A model of the store: batches are appended whole, in one order. It can lose the last ones."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple, Protocol

from shoal.broker.stores import Exchanged, LostError, NotLoadedError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed, aged
from shoal.broker.tracking.dump import dump
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State


class Time(Protocol):
    """Virtual time, and all chance."""

    rng: Random

    @property
    def now(self) -> float: ...


class Batch(NamedTuple):
    """One entry of the log."""

    at: float
    tracker: str  # And which of its starts.
    number: int
    changes: tuple[Change, ...]


class Place(NamedTuple):
    """How far a tracker has read, and in which log: a store that loses something has another."""

    entry: int = 0
    heard: int = 0
    generation: int = 0


class Request(NamedTuple):
    """What a tracker sends: its changes, under their number, and who has renewed."""

    tracker: str
    number: int
    changes: tuple[Change, ...]
    renewed: tuple[Renewed, ...]
    place: Place


class Reply(NamedTuple):
    """What the store says to it."""

    place: Place
    is_saved: bool
    has_more: bool
    others: list[Change]
    heard: list[Renewed]


class Reading(NamedTuple):
    """The whole log, and where it ends."""

    changes: list[Change]
    place: Place


class Log:
    """What the store has, and how it is."""

    def __init__(self, world: Time) -> None:
        self.world = world
        self.batches: list[Batch] = []
        self.renewed: list[tuple[str, Renewed]] = []
        self.generation = 0
        self.is_away = False
        self.refusal = ""  # Why nothing can be appended; empty if it can.
        self.delay_s = (0.0002, 0.002)  # To the store, and the same back.
        self.lost_share = 0.0  # Of messages, each way.

    def lose(self, count: int) -> list[Batch]:
        """Fail over to a replica that has not got the last batches; return those."""
        kept = len(self.batches) - count
        lost, self.batches = self.batches[kept:], self.batches[:kept]
        self.generation += 1
        return lost

    def changes(self, batches: Sequence[Batch]) -> list[Change]:
        now = self.world.now
        return [aged(change, int(now - each.at)) for each in batches for change in each.changes]

    def end(self) -> Place:
        return Place(len(self.batches), len(self.renewed), self.generation)

    def read(self) -> Reading:
        """Return the log as a tracker reads it that starts: sometimes from a snapshot."""
        cut = self.world.rng.randrange(len(self.batches) + 1) if self.batches else 0
        early = State(Initial(""), TrackerSettings())
        early.replay(self.changes(self.batches[:cut]), self.world.now)
        changes = [*dump(early, self.world.now), *self.changes(self.batches[cut:])]
        return Reading(changes, self.end())

    def carry_out(self, request: Request) -> Reply:
        """Do what an exchange asks for. What comes twice, or after later ones, is not appended.

        Raises:
            LostError: the tracker goes by another log.
            NotSavedError: nothing can be appended.
        """
        if request.place.generation != self.generation:
            raise LostError("failed over")
        if self.refusal and (request.changes or request.renewed):
            raise NotSavedError(self.refusal)
        at = self._place_of(request) if request.changes else None
        end = len(self.batches) if at is None else at
        others = self.changes(self.batches[request.place.entry : end])
        renewed = self.renewed[request.place.heard :]
        heard = [one for who, one in renewed if who != request.tracker]
        is_saved = at is not None
        place = Place(end + is_saved, len(self.renewed), self.generation)
        has_more = place.entry < len(self.batches)
        self.renewed += ((request.tracker, one) for one in request.renewed)
        return Reply(place, is_saved, has_more, others, heard)

    def _place_of(self, request: Request) -> int | None:
        """Return where a request's changes are in the log; None if later ones came before them."""
        who, number = request.tracker, request.number
        ours = {each.number: nth for nth, each in enumerate(self.batches) if each.tracker == who}
        if number > max(ours, default=0):
            ours[number] = len(self.batches)
            self.batches.append(Batch(self.world.now, who, number, request.changes))
        return ours.get(number)


class Reader:
    """One start of a tracker: how far it has read the log, and what it has sent."""

    def __init__(self, log: Log, who: str) -> None:
        self.place = Place()
        self.is_loaded = False
        self._log = log
        self._who = who
        self._number = 0
        self._sent: tuple[Change, ...] = ()

    @property
    def is_at_end(self) -> bool:
        """Whether it has read all that there is."""
        end = self._log.end()
        return self.is_loaded and self.place._replace(heard=end.heard) == end

    def loaded(self, reading: Reading) -> list[Change]:
        """Go on where a reading ends; return what it has."""
        self._number += 1  # The last batch may have been appended all the same.
        self._sent, self.place, self.is_loaded = (), reading.place, True
        return reading.changes

    def request(self, changes: Sequence[Change], renewed: Sequence[Renewed]) -> Request:
        """Return what to send for an exchange: first of all what may have been appended already.

        Raises:
            LostError: that was given up.
            NotLoadedError: `loaded` comes first.
        """
        if not self.is_loaded:
            raise NotLoadedError
        if self._sent and tuple(changes[: len(self._sent)]) != self._sent:
            raise LostError("given up")
        self._sent = self._sent or tuple(changes)
        return Request(self._who, self._number + 1, self._sent, tuple(renewed), self.place)

    def taken(self, reply: Reply, given: int) -> Exchanged:
        """Go on after an exchange of so many changes."""
        unsaved = given - len(self._sent)
        self.place, self._sent = reply.place, ()
        self._number += reply.is_saved
        return Exchanged(reply.others, reply.heard, unsaved, reply.has_more)

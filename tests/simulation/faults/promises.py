"""What several trackers have promised to those who push; which word counts is the log's."""

import collections
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shoal.broker.tracking.changes import Unwished, Wished
from shoal.broker.tracking.state import State
from shoal.protocol.messages import Error, TrackerReply, TrackerRequest
from shoal.protocol.pushing import Push, Unpush, Wishes, WishList

from tests.simulation.faults.ledger import Content, Ledger
from tests.simulation.faults.trace import Finding
from tests.simulation.trackers.store import Batch

if TYPE_CHECKING:
    from shoal.broker.tracking.tracker import Tracker

    from tests.simulation.faults.several import Several


class Promise:
    """Of one name: what may be pushed."""

    def __init__(self) -> None:
        self.every: list[Content | None] = [None]
        self.allowed: set[Content | None] = {None}
        self.unsure: list[Content | None] = []  # It may get into the log, after later ones too.


class SharedLedger(Ledger):
    """Follows each name. What was acknowledged counts until something later is, or may be."""

    def __init__(self, several: "Several", hits: "collections.Counter[str]") -> None:
        super().__init__(hits)
        self._several = several
        self._promises: dict[str, Promise] = {}
        self._asked: dict[tuple[str, Content | None], set[Content | None]] = {}
        self._risks: dict[str, set[int]] = {}  # What the store has lost, and who still knows it.

    # What the trackers do.

    def answered(self, request: TrackerRequest, reply: TrackerReply) -> None:
        if isinstance(request, Push | Unpush) and not isinstance(reply, Error):
            self._count += 1
            content = (request.id, request.to) if isinstance(request, Push) else None
            promise = self._promises.setdefault(request.name, Promise())
            promise.every.append(content)
            promise.unsure.append(content)
            promise.allowed.add(content)
            self._asked[request.name, content] = promise.allowed
            if request.name in self._risks:
                self._allow_all(request.name)
        if isinstance(request, Wishes) and isinstance(reply, WishList):
            told = {(wish.name, wish.id) for wish in reply.wishes}
            known = {
                (name, content[0])
                for name, promise in self._promises.items()
                for content in promise.every
                if content is not None
            }
            if not told <= known:
                text = f"{request.node} was told of {sorted(told - known)}, which nobody pushed"
                raise Finding("wishes", text)
            self._told.setdefault(request.node, set()).update(told)

    def began(self, tracker: "Tracker") -> None:
        """Take note of nothing: what it knows is compared with the log."""

    def lost(self) -> None:
        raise AssertionError("a tracker has nothing to lose")

    # What the store does.

    def store_lost(self, batches: Iterable[Batch], knowing: set[int]) -> None:
        """Note what the store has lost, and the processes that still know all of it."""
        for batch in batches:
            for change in batch.changes:
                if isinstance(change, Wished | Unwished):
                    self._risks[change.name] = set(knowing)
                    if not knowing:
                        self._allow_all(change.name)

    def ended(self, process: int) -> None:
        """Note that a tracker's process is over, and with it what it alone knew."""
        for name, knowing in self._risks.items():
            if process in knowing:
                knowing.discard(process)
                if not knowing:
                    self._allow_all(name)

    def settled(self, state: State) -> None:
        """Require that the log has what it must; all trackers know it, and nothing is under way."""
        self._risks.clear()
        for name, promise in sorted(self._promises.items()):
            found = _pushed(state, name)
            if found not in promise.allowed:
                text = f"of {name} all trackers know {found}, and none of {promise.allowed}"
                raise Finding("wishes", text)
            promise.allowed, promise.unsure = {found}, []

    def _allow_all(self, name: str) -> None:
        promise = self._promises.get(name)
        if promise is not None:
            promise.allowed |= set(promise.every)

    # What the one who pushes hears.

    def acknowledged(self, name: str, content: Content | None) -> None:
        promise = self._promises[name]
        if content in promise.unsure:
            promise.unsure.remove(content)
        if self._asked.get((name, content)) is promise.allowed:
            promise.allowed = {content, *promise.unsure}
            if name in self._risks:
                self._allow_all(name)

    # What should be.

    def _all(self) -> Iterable[tuple[str, Content]]:
        for name in sorted(self._promises):
            content = _pushed(self._several.agreement.state(), name)
            if content is not None:
                yield name, content


def _pushed(state: State, name: str) -> Content | None:
    found = state.wishes.find(name)
    return None if found is None else (found.id, found.to)

"""The requests that wait for their answer, and whose turn it is. Answers nothing.

Each host has its turn, each of its nodes, and each of a node's connections. One who is new does not
wait for those that are known, and nobody waits for one that does not read what it gets.
"""

import collections
import math
from typing import TYPE_CHECKING, NamedTuple

from shoal.protocol.messages import ChunkRequest
from shoal.protocol.rota import Rota

if TYPE_CHECKING:
    from shoal.node.serving.pacing import Pacing
    from shoal.node.serving.steps import RequestArrived, Source

MOST_REQUESTS = 64  # Of one connection: four times what it may have out (docs/build/protocol.md).
MOST_BYTES = 16 << 20  # Of all; more, and who has most of them must go.

Place = tuple[str, str, "Source"]  # The host, the node as it says, the connection.


class _Asker(NamedTuple):
    place: Place
    held: "collections.deque[RequestArrived]"  # Until it has read what it got.


class Waiting:
    """All that waits. An asker is remembered until its connection ends."""

    def __init__(self, pacing: "Pacing") -> None:
        self._pacing = pacing
        self._new: Rota[Place, RequestArrived] = Rota()  # Of askers to whom nothing has ever left.
        self._known: Rota[Place, RequestArrived] = Rota()
        self._counts: collections.Counter[Source] = collections.Counter()
        self._askers: dict[Source, _Asker] = {}

    def __len__(self) -> int:
        """Return how many requests wait for room, and not for their asker."""
        return len(self._new) + len(self._known)

    def put(self, arrived: "RequestArrived") -> "Source | None":
        """Take in a request; return who must go, if that is too much."""
        source, request = arrived.source, arrived.request
        asker = self._askers.get(source)
        if asker is None:
            node = request.node if isinstance(request, ChunkRequest) else ""
            asker = _Asker((source.address, node, source), collections.deque())
            self._askers[source] = asker
        self._counts[source] += 1
        if self._counts[source] > MOST_REQUESTS:
            return source
        self._line_up(asker, arrived)
        size = self._new.size + self._known.size
        if size <= MOST_BYTES:
            return None
        larger = self._new if self._new.size > self._known.size else self._known
        return larger.largest()[-1]

    def may_pass(self, source: "Source", now: float, reserved: int) -> bool:
        """Say whether a request that has come alone need not wait at all."""
        if self._new or self._known or not self._pacing.may_have(source, now):
            return False
        is_known = self._pacing.is_known(source)
        return self._room_at(now, reserved, for_known=is_known) <= now

    def take(self, now: float, reserved: int) -> "RequestArrived | None":
        """Remove and return the next request that there is room for; None if there is none.

        Room is `reserved` for so many answers that are being made.
        """
        for rota, for_known in (self._new, False), (self._known, True):
            while len(rota) and self._room_at(now, reserved, for_known=for_known) <= now:
                place, arrived = rota.take()
                if not for_known and self._pacing.is_known(arrived.source):
                    self._known.put(place, arrived, arrived.size_bytes)
                elif not self._pacing.may_have(arrived.source, now):
                    self._askers[arrived.source].held.append(arrived)
                else:
                    self._counts[arrived.source] -= 1
                    return arrived
        return None

    def charge(self, arrived: "RequestArrived", cost: float) -> None:
        """Note how many bytes a request that was taken has cost."""
        asker = self._askers.get(arrived.source)
        if asker is not None:
            self._new.charge(asker.place, cost)
            self._known.charge(asker.place, cost)

    def has_read(self, source: "Source") -> None:
        """Let an asker have its turns again, to whom a reply has left."""
        asker = self._askers.get(source)
        while asker is not None and asker.held:
            self._line_up(asker, asker.held.popleft())

    def drop(self, source: "Source") -> None:
        """Forget what an asker wants."""
        asker = self._askers.pop(source, None)
        self._counts.pop(source, None)
        if asker is not None:
            self._new.drop(asker.place)
            self._known.drop(asker.place)

    def room_at(self, now: float, reserved: int) -> float:
        """When there will be room for the next, if no reply leaves before; never if none waits."""
        return min(
            self._room_at(now, reserved, for_known=False) if len(self._new) else math.inf,
            self._room_at(now, reserved, for_known=True) if len(self._known) else math.inf,
        )

    def _room_at(self, now: float, reserved: int, *, for_known: bool) -> float:
        return self._pacing.has_room_at(now, reserved, for_known=for_known)

    def _line_up(self, asker: _Asker, arrived: "RequestArrived") -> None:
        rota = self._known if self._pacing.is_known(arrived.source) else self._new
        rota.put(asker.place, arrived, arrived.size_bytes)

"""Which request is answered next, when, and with what. Reads no chunks and sends nothing.

A machine: `handle` takes an event and the time, and returns what is to be done. Its shells are the
chunk server and the simulator's hosts.
"""

from typing import TYPE_CHECKING

import msgspec
from shoal.node.serving import steps
from shoal.node.serving.demand import Demands
from shoal.node.serving.pacing import COUNTED_BYTES, Pacing
from shoal.node.serving.turns import Turns
from shoal.node.serving.uploads import Uploads
from shoal.node.serving.waiting import Waiting
from shoal.protocol import bitmap
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import (
    ChunkReply,
    ChunkRequest,
    Error,
    ManifestReply,
    ManifestRequest,
    NodeReply,
    Noted,
    Nothing,
    StateRequest,
    WrongChunk,
)

if TYPE_CHECKING:
    from random import Random

_NOT_HERE = Error(WireCode.NOT_FOUND, "does not have it")
_NO_SUCH_CHUNK = Error(WireCode.MALFORMED, "asked for a chunk that the file does not have")
_GONE = Error(WireCode.GONE, "no longer has it")
_COME_AGAIN = Error(WireCode.BUSY, "is serving others that have had less")
_ASK_OTHERS = Error(WireCode.BUSY, "has sent its manifest to many others; ask them")
_OVERFULL = Error(WireCode.BUSY, "has too many replies that have not been read")
_BUG = Error(WireCode.INTERNAL, "ran into a bug; see its log")

Actions = list[steps.Action]


class _Chosen(msgspec.Struct, frozen=True, gc=False):
    """A chunk that is being read, what will be said with it, and to whom."""

    shared: steps.Shared
    reply: ChunkReply
    node: str


class Server:
    """Answers one request at a time, whatever happens with exactly one reply.

    Each connection's requests wait in a queue of their own (Waiting). The next one is answered as
    soon as the link has room (Pacing). An asker with many connections is told to come again, as
    often as makes up for that (Turns), and what leaves of a thing that many want is chosen so that
    they can get the rest from each other (Demand).
    """

    def __init__(self, shelf: steps.Shelf, rng: "Random", log_every_s: float) -> None:
        """`log_every_s`: how often an upload to the same node is logged, after the first ones."""
        self._shelf = shelf
        self._turns = Turns(rng)
        self._pacing = Pacing()
        self._demands = Demands()
        self._uploads = Uploads(log_every_s)
        self._waiting = Waiting()
        self._is_answering = False  # One request, for whose answer the shell does something.
        self._chosen: _Chosen | None = None  # That answer, if it is a chunk.

    @property
    def deadline(self) -> float | None:
        """When to tell it that time has passed: a reply that has not left may count no more."""
        return self._pacing.has_room_at if self._waiting and not self._is_answering else None

    def handle(self, event: steps.Event, now: float) -> Actions:
        """Take in what has happened at `now`, in seconds; return what is to be done, in order."""
        actions = self._take_in(event, now)
        while not self._is_answering and self._waiting and self._pacing.has_room_at <= now:
            actions += self._answer(self._waiting.take(), now)
        return actions

    def _take_in(self, event: steps.Event, now: float) -> Actions:
        match event:
            case steps.RequestArrived() | steps.NonsenseArrived():
                self._waiting.put(event)
            case steps.ChunkRead():
                return self._send_chunk(event.number, event.data, now)
            case steps.ReplyLeft(number):
                self._pacing.left(number, now)
            case steps.ChunkGone(number, reason):
                shared = self._done().shared
                return [steps.Withdraw(shared, reason), steps.SendReply(number, _GONE)]
            case steps.StateFound(number, state):
                self._is_answering = False
                return [steps.SendReply(number, state)]
            case steps.AnswerFailed(number):
                self._is_answering = False
                return [steps.SendReply(number, _BUG)]
            case steps.TimePassed():  # pragma: no branch
                pass
        return []

    def _answer(self, arrived: steps.Arrived, now: float) -> Actions:
        if isinstance(arrived, steps.NonsenseArrived):
            return [steps.SendReply(arrived.number, Error(arrived.code, arrived.reason))]
        number, request = arrived.number, arrived.request
        if self._pacing.is_overfull:
            return [steps.SendReply(number, _OVERFULL)]
        match request:
            case ChunkRequest():
                return [self._give(number, arrived.source, request)]
            case ManifestRequest():
                return [self._show(number, request, now)]
            case StateRequest(name, content_id):
                self._is_answering = True
                return [steps.FindState(number, name, content_id)]
            case WrongChunk():  # pragma: no branch
                return self._take_note(number, request)

    def _give(self, number: int, source: steps.Source, request: ChunkRequest) -> steps.Action:
        if not self._turns.has_turn(source, request.node):
            return steps.SendReply(number, _COME_AGAIN)
        shared, index = self._shelf.find(request.id), request.index
        if shared is None:
            return steps.SendReply(number, _NOT_HERE)
        count = shared.chunk_count
        if index >= count:
            return steps.SendReply(number, _NO_SUCH_CHUNK)
        everything = bitmap.full(count)
        demand = self._demands.of(shared.id)
        gives = demand.asked(request, shared.have, everything)
        have = b"" if gives == everything else bitmap.to_bytes(gives, count)
        if not gives >> index & 1:
            return steps.SendReply(number, Nothing(have))
        demand.served(index)
        self._is_answering = True
        self._chosen = _Chosen(shared, ChunkReply(index, have, demand.askers), request.node)
        return steps.ReadChunk(number, shared, index)

    def _send_chunk(self, number: int, data: bytes, now: float) -> Actions:
        chosen = self._done()
        shared, node, sent = chosen.shared, chosen.node, self._send(number, chosen.reply, data, now)
        if not self._uploads.is_news(shared.name, node, now):
            return [sent]
        index = chosen.reply.index
        return [steps.LogUpload(shared.name, index, shared.chunk_count, node), sent]

    def _done(self) -> _Chosen:
        """End the reading of a chunk; return which it was."""
        chosen = self._chosen
        assert chosen is not None
        self._is_answering, self._chosen = False, None
        return chosen

    def _show(self, number: int, request: ManifestRequest, now: float) -> steps.Action:
        """Send the manifest, but not to all of a crowd: those that have it can pass it on."""
        shared = self._shelf.find(request.what)
        if shared is None:
            return steps.SendReply(number, _NOT_HERE)
        has_room = self._demands.of(shared.id).has_room(len(shared.data), now)
        if request.may_wait and not has_room:
            return steps.SendReply(number, _ASK_OTHERS)
        return self._send(number, ManifestReply(shared.id, shared.name), shared.data, now)

    def _take_note(self, number: int, request: WrongChunk) -> Actions:
        shared = self._shelf.find(request.id)
        if shared is None:
            return [steps.SendReply(number, _NOT_HERE)]
        if request.index >= shared.chunk_count:
            return [steps.SendReply(number, _NO_SUCH_CHUNK)]
        return [steps.CheckChunk(shared.id, request.index), steps.SendReply(number, Noted())]

    def _send(self, number: int, message: NodeReply, payload: bytes, now: float) -> steps.Action:
        is_counted = len(payload) >= COUNTED_BYTES
        if is_counted:
            self._pacing.queued(number, len(payload), now)
        return steps.SendReply(number, message, payload, is_counted)

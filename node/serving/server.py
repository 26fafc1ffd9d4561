"""Which request is answered next, when, and with what. Reads no chunks and sends nothing.

A machine: `handle` takes an event and the time, and returns what is to be done. Its shells are the
chunk server and the simulator's hosts.
"""

import math
from typing import TypeGuard

import msgspec
from shoal.node.serving import steps
from shoal.node.serving.demand import Demands
from shoal.node.serving.pacing import COUNTED_BYTES, Pacing
from shoal.node.serving.sent import Sent
from shoal.node.serving.shares import Shares
from shoal.node.serving.uploads import Uploads
from shoal.node.serving.waiting import Waiting
from shoal.protocol import bitmap
from shoal.protocol.bucket import Bucket
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
from shoal.protocol.rates import lesser

READING_S = 1.0  # A chunk that takes longer to read keeps nobody waiting, …
MOST_READINGS = 64  # … up to so many.
_NOT_HERE = Error(WireCode.NOT_FOUND, "does not have it")
_NO_SUCH_CHUNK = Error(WireCode.MALFORMED, "asked for a chunk that the file does not have")
_GONE = Error(WireCode.GONE, "no longer has it")
_ASK_OTHERS = Error(WireCode.BUSY, "has sent its manifest to many others; ask them")
_BUG = Error(WireCode.INTERNAL, "ran into a bug; see its log")

Actions = list[steps.Action]


class _Chosen(msgspec.Struct, frozen=True, gc=False):
    """Who asked for a chunk that is being read, what it is of, and what will be said with it."""

    since: float
    arrived: steps.RequestArrived
    shared: steps.Shared
    reply: ChunkReply
    size_bytes: int  # Charged already: it passes as soon as it has been read.


class Server:
    """Answers each request with exactly one reply, as soon as the link has room for it.

    Whose turn it is says Waiting, and how much may be on its way Pacing. What leaves of a thing
    that many want is chosen so that they can get the rest from each other (Demand).
    """

    def __init__(self, shelf: steps.Shelf, log_every_s: float) -> None:
        """`log_every_s`: how often an upload to the same node is logged, after the first ones."""
        self._shelf = shelf
        self._bucket = Bucket()
        self._pacing = Pacing(self._bucket)
        self._shares = Shares()
        self._waiting = Waiting(self._pacing)
        self._demands = Demands()
        self._uploads = Uploads(log_every_s)
        self.sent = Sent()
        self._chosen: dict[int, _Chosen] = {}  # The chunks that are being read, by the request.

    def active(self, now: float) -> list[steps.Source]:
        """Return those that something is on its way to."""
        return self._pacing.active(now)[0]

    @property
    def is_busy(self) -> bool:
        """Say whether something is asked for that has not left yet."""
        return bool(self._waiting or self._chosen or self._pacing.unsent)

    @property
    def waiting_count(self) -> int:
        """How many requests wait for room, or for a chunk to be read. For any thread."""
        return len(self._waiting) + len(self._chosen)

    def deadline(self, now: float) -> float:
        """When to tell it that time has passed: what takes too long may count no more."""
        if not self._waiting:
            return math.inf
        reserved = self._reserved(now)
        slowest_at = min((one.since + READING_S for one in reserved), default=math.inf)
        return min(slowest_at, self._waiting.room_at(now, len(reserved)))

    def handle(self, event: steps.Event, now: float) -> Actions:
        """Take in what has happened at `now`, in seconds; return what is to be done, in order."""
        if self._may_pass(event, now):
            actions = self._answer(event, now)
        else:
            actions = self._take_in(event, now)
        while self._waiting and len(self._chosen) < MOST_READINGS:
            arrived = self._waiting.take(now, len(self._reserved(now)))
            if arrived is None:
                break
            actions += self._answer(arrived, now)
        if self._pacing.is_overfull:
            actions.append(steps.End(self._pacing.stalest, "does not read what it asked for"))
        if self._shares.rate is None:
            return actions
        paces = self._shares.changes(*self._pacing.active(now))
        return [*(steps.SetPace(*pace) for pace in paces), *actions] if paces else actions

    def _may_pass(self, event: steps.Event, now: float) -> "TypeGuard[steps.RequestArrived]":
        """Say whether it is a request that need not wait, as hardly any has to."""
        return (
            isinstance(event, steps.RequestArrived)
            and isinstance(event.request, ChunkRequest)
            and len(self._chosen) < MOST_READINGS
            and self._waiting.may_pass(event.source, now, len(self._reserved(now)))
        )

    def _reserved(self, now: float) -> list[_Chosen]:
        """Return the chunks being read that room is kept for: not those of a disk that hangs."""
        return [one for one in self._chosen.values() if now < one.since + READING_S]

    def _take_in(self, event: steps.Event, now: float) -> Actions:  # noqa: C901, PLR0911, PLR0912
        match event:  # One table of all events.
            case steps.RequestArrived(number, _, StateRequest(name, content_id)):
                return [steps.FindState(number, name, content_id)]
            case steps.RequestArrived(number, _, WrongChunk() as request):
                return self._take_note(number, request)
            case steps.RequestArrived():
                too_many = self._waiting.put(event)
                return [] if too_many is None else [steps.End(too_many, "asks for too much")]
            case steps.ManyArrived(several):
                return [action for each in several for action in self._take_in(each, now)]
            case steps.NonsenseArrived(number, _, code, reason):
                return [steps.SendReply(number, Error(code, reason))]
            case steps.ChunkRead(number, data):
                return self._send_chunk(number, data, now)
            case steps.ReplyLeft(number):
                self._waiting.has_read(self._pacing.left(number, now))
            case steps.ChunkGone(number, reason):
                chosen = self._chosen.pop(number)
                self._bucket.give_back(chosen.size_bytes)
                return [steps.Withdraw(chosen.shared, reason), steps.SendReply(number, _GONE)]
            case steps.StateFound(number, state):
                return [steps.SendReply(number, state)]
            case steps.AnswerFailed(number):
                failed = self._chosen.pop(number, None)
                if failed is not None:
                    self._bucket.give_back(failed.size_bytes)
                return [steps.SendReply(number, _BUG)]
            case steps.AskerLeft(source):
                self._waiting.drop(source)
            case steps.LimitChanged(rate, pace, to_hosts):
                self._bucket.set_rate(rate, now)
                self._shares.rate = lesser(rate, pace)
                self._shares.to_hosts = to_hosts
                if self._shares.rate is None:
                    self._shares.end()
                    return [steps.EndPaces()]
            case steps.TimePassed():  # pragma: no branch
                pass
        return []

    def _answer(self, arrived: steps.RequestArrived, now: float) -> Actions:
        request = arrived.request
        if isinstance(request, ChunkRequest):
            return [self._give(arrived, request, now)]
        assert isinstance(request, ManifestRequest)  # Others do not wait.
        return [self._show(arrived, request, now)]

    def _give(
        self, arrived: steps.RequestArrived, request: ChunkRequest, now: float
    ) -> steps.Action:
        number, index = arrived.number, request.index
        shared = self._shelf.find(request.id)
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
        reply = ChunkReply(index, have, demand.askers)
        size_bytes = shared.chunk_size(index)
        self._bucket.take(size_bytes, now)
        self._chosen[number] = _Chosen(now, arrived, shared, reply, size_bytes)
        return steps.ReadChunk(number, shared, index)

    def _send_chunk(self, number: int, data: bytes, now: float) -> Actions:
        chosen = self._chosen.pop(number)
        shared, index = chosen.shared, chosen.reply.index
        sent = self._send(chosen.arrived, chosen.reply, data, now)
        request = chosen.arrived.request
        assert isinstance(request, ChunkRequest)
        self.sent.chunk(request.node, len(data))
        if not self._uploads.is_news(shared.name, request.node, now):
            return [sent]
        return [steps.LogUpload(shared.name, index, shared.chunk_count, request.node), sent]

    def _show(
        self, arrived: steps.RequestArrived, request: ManifestRequest, now: float
    ) -> steps.Action:
        """Send the manifest, but not to all of a crowd: those that have it can pass it on."""
        shared = self._shelf.find(request.what)
        if shared is None:
            return steps.SendReply(arrived.number, _NOT_HERE)
        has_room = self._demands.of(shared.id).has_room(len(shared.data), now)
        if request.may_wait and not has_room:
            return steps.SendReply(arrived.number, _ASK_OTHERS)
        self.sent.manifest_count += 1
        self._bucket.take(len(shared.data), now)
        return self._send(arrived, ManifestReply(shared.id, shared.name), shared.data, now)

    def _take_note(self, number: int, request: WrongChunk) -> Actions:
        shared = self._shelf.find(request.id)
        if shared is None:
            return [steps.SendReply(number, _NOT_HERE)]
        if request.index >= shared.chunk_count:
            return [steps.SendReply(number, _NO_SUCH_CHUNK)]
        return [steps.CheckChunk(shared.id, request.index), steps.SendReply(number, Noted())]

    def _send(
        self, arrived: steps.RequestArrived, message: NodeReply, payload: bytes, now: float
    ) -> steps.Action:
        number, size_bytes = arrived.number, len(payload)
        if self._waiting:  # Otherwise nobody had to wait for this one.
            self._waiting.charge(arrived, size_bytes)
        is_counted = size_bytes >= COUNTED_BYTES
        if is_counted:
            self._pacing.queued(number, arrived.source, size_bytes, now)
        return steps.SendReply(number, message, payload, is_counted)

"""The ROUTER at a node's address: takes requests in, and passes answers on. Decides nothing."""

import logging
import math
from typing import Any

import zmq
from shoal.node.serving import steps
from shoal.node.serving.pacing import COUNTED_BYTES, MAX_UNSENT_BYTES
from shoal.protocol import messages, permits
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.keyring import NO_LONGER_KNOWN
from shoal.protocol.messages import NodeRequest
from shoal.wire.connections import Bounds, Connection
from shoal.wire.curve import Gate
from shoal.wire.listener import Letter, Listener
from shoal.wire.releases import Releases
from shoal.wire.sockets import UNACKNOWLEDGED_DATA_MS

log = logging.getLogger("shoal.node")

MOST_TAKEN = 64  # Requests at a time: who sends faster than we take them waits in libzmq's queues.
BOUNDS = Bounds(
    most_unsent_bytes=MAX_UNSENT_BYTES + (16 << 20), unacknowledged_ms=UNACKNOWLEDGED_DATA_MS
)


class Front:
    """Numbers the requests, and knows to whom each answer goes. For one thread, but `__init__`."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, gate: Gate | None = None
    ) -> None:
        """Listen at `address`, with a `gate` for those with keys alone."""
        most = messages.MAX_CHUNK_REQUEST_BYTES
        self._listener = Listener(context, address, most, BOUNDS, self._over, gate)
        self._listener.router.copy_threshold = COUNTED_BYTES
        self._releases = Releases()
        self.sent_bytes = 0  # Of manifests and chunks.
        self._count = 0
        self._askers: dict[steps.Source, Connection] = {}
        self._letters: dict[int, Letter] = {}  # Of the requests that have no answer yet.
        self._left: list[steps.Event] = []
        self._look_at = 0.0

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        return [*self._listener.sockets, self._releases.socket]

    @property
    def patience_s(self) -> float:
        """How long to wait at most before asking for `news` again."""
        listener = self._listener
        return listener.patience_s if listener.connections.count else math.inf

    def news(self, ready: list[Any], now: float) -> list[steps.Event]:
        """Return what has happened, given the sockets that are `ready`: who and what has left, …

        … and which requests have come in, each under a new number, up to a bound.
        """
        is_ready = {id(each) for each in ready}
        is_news = any(id(each) in is_ready for each in self._listener.sockets[1:])
        if now >= self._look_at or is_news:
            for ended in self._listener.look(now):
                log.warning("cut off %s: it takes too much memory", ended.address)
            self._look_at = now + self._listener.patience_s
        news: list[steps.Event] = []
        if id(self._releases.socket) in is_ready:
            news += map(steps.ReplyLeft, self._releases.taken())
        if id(self._listener.router) in is_ready:
            news += self._received(now)
        if self._left:
            news, self._left = self._left + news, []
        return news

    def _received(self, now: float) -> list[steps.Event]:
        arrived: list[steps.Arrived] = []
        while len(arrived) < MOST_TAKEN and (letter := self._listener.receive(now)) is not None:
            arrived.append(self._arrived(letter))
        return [*arrived] if len(arrived) <= 1 else [steps.ManyArrived(arrived)]

    def _arrived(self, letter: Letter) -> steps.Arrived:
        self._count += 1
        number, source = self._count, _source(letter.connection)
        self._askers[source] = letter.connection
        self._letters[number] = letter
        try:
            request = request_in(letter.body)
        except UnsupportedMessageError as error:
            return steps.NonsenseArrived(number, source, WireCode.UNSUPPORTED, str(error))
        except MalformedMessageError as error:
            return steps.NonsenseArrived(number, source, WireCode.MALFORMED, str(error))
        refusal = self._refusal(letter.connection, request)
        if refusal is not None:
            return steps.NonsenseArrived(number, source, WireCode.NOT_ALLOWED, refusal)
        return steps.RequestArrived(number, source, request, letter.size_bytes)

    def _refusal(self, connection: Connection, request: NodeRequest) -> str | None:
        """Return why somebody may not send a request, as of now; None if they may."""
        asker = self._listener.asker(connection)
        if self._listener.is_refused(asker):
            return NO_LONGER_KNOWN
        return None if asker.who is None else permits.refusal(asker.who, request)

    def reply(self, action: steps.SendReply) -> steps.ReplyLeft | None:
        """Answer a request; say whether that is over already, because the asker has left."""
        letter = self._letters.pop(action.number, None)
        if letter is None:
            return steps.ReplyLeft(action.number) if action.is_counted else None
        body, payload = messages.encode(action.message), action.payload
        self.sent_bytes += 0 if payload is None else len(payload)
        if not action.is_counted:
            self._listener.send(letter, body, *([] if payload is None else [payload]))
            return None
        assert payload is not None
        if not self._listener.begin(letter, body, len(payload)):
            return steps.ReplyLeft(action.number)
        self._releases.send(self._listener.router, payload, action.number)
        return None

    def end(self, source: steps.Source, reason: str) -> None:
        """End a connection; AskerLeft comes when it has ended."""
        connection = self._askers.get(source)
        if connection is not None and not connection.is_ended:
            log.warning("cut off %s: it %s", source.address, reason)
            self._listener.connections.end(connection)

    def pace(self, source: steps.Source, rate: int) -> None:
        """Have the kernel space what leaves to somebody, at so many bytes/s."""
        connection = self._askers.get(source)
        if connection is not None:
            self._listener.connections.pace(connection, rate)

    def flow(self, source: steps.Source) -> tuple[float, int] | None:
        """Return the usual round trip to somebody, and how much has arrived there."""
        connection = self._askers.get(source)
        return None if connection is None else self._listener.connections.flow(connection)

    def end_paces(self) -> None:
        """Have the kernel send to everybody as fast as it can."""
        for connection in self._askers.values():
            self._listener.connections.pace(connection, None)

    def close(self) -> None:
        self._listener.close()
        self._releases.close()

    def _over(self, connection: Connection) -> None:
        source = _source(connection)
        if self._askers.pop(source, None) is None:
            return
        self._left.append(steps.AskerLeft(source))
        for number in [n for n, one in self._letters.items() if one.connection is connection]:
            del self._letters[number]


def _source(connection: Connection) -> steps.Source:
    return steps.Source(connection.address, connection.serial)


def request_in(body: list[zmq.Frame]) -> NodeRequest:
    """Return the request in what comes after an envelope; MalformedMessageError if it is none."""
    if len(body) != 1:
        raise MalformedMessageError("a request has one frame after the delimiter")
    limit = messages.MAX_CHUNK_REQUEST_BYTES
    request: NodeRequest = messages.decode(body[0].bytes, NodeRequest, limit)
    return request

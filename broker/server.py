"""The tracker's ROUTER: receives requests, saves changes, sends replies, logs. Decides nothing.

It withstands clients that never read, strangers that send anything, and a disk that fails.
"""

import collections
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import zmq
from shoal.broker.connections import Connections
from shoal.broker.reporter import Reporter
from shoal.broker.saver import Saver, Store
from shoal.broker.settings import ServerSettings
from shoal.broker.tracking.changes import Change
from shoal.broker.tracking.events import Event
from shoal.broker.tracking.tracker import Expiry, Outcome
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.messages import Error, TrackerReply, TrackerRequest, TrackerStatus
from shoal.wire import sockets
from shoal.wire.wake import Wake

_log = logging.getLogger("shoal.tracker")

MAX_TAGS = 4  # Frames before the delimiter that come back unchanged; a client needs one.
MAX_ERROR_CHARACTERS = 500


class Machine(Protocol):
    """Whatever answers the requests: the tracker."""

    @property
    def deadline(self) -> float | None: ...
    def handle(self, request: TrackerRequest, now: float) -> Outcome: ...
    def expire(self, now: float) -> Expiry: ...


class Server:
    """Serves one tracker. `bind`, `serve` and `close` it in this order."""

    def __init__(
        self,
        tracker: Machine,
        store: Store,
        clock: Callable[[], float],
        settings: ServerSettings | None = None,
    ) -> None:
        self._tracker = tracker
        self._clock = clock
        self._settings = settings or ServerSettings()
        self._saver = Saver(store, self._settings)
        self._reporter = Reporter(self._settings)
        self._connections = Connections(self._settings)
        self._counters: collections.Counter[str] = collections.Counter()
        self._router: zmq.Socket[bytes] | None = None

    def bind(self, context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> None:
        """Listen on `address`; raises OperatorError if that is impossible."""
        settings = self._settings
        router = context.socket(zmq.ROUTER)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # With NOBLOCK: see _send.
        router.setsockopt(zmq.MAXMSGSIZE, messages.MAX_REQUEST_BYTES)
        router.setsockopt(zmq.RCVHWM, settings.receive_queue)
        router.setsockopt(zmq.SNDHWM, settings.send_queue)
        self._connections.watch(context, router)
        try:
            sockets.bind(router, address)
        except BaseException:
            self._connections.close()
            raise
        router.setsockopt(zmq.LINGER, settings.linger_ms)
        self._router = router

    def serve(self, stop: Wake) -> None:
        """Answer until `stop` is set."""
        assert self._router is not None, "bind comes first"
        poller = zmq.Poller()
        for each in (self._router, self._connections.socket, stop):
            poller.register(each, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(self._patience_ms()))
            if stop.fileno() in ready:
                return
            self._connections.read(self._clock())
            self._serve_round(self._router)

    def close(self) -> None:
        """Close the socket; replies that wait in it get a moment to be sent."""
        if self._router is not None:
            self._router.disable_monitor()  # First: libzmq would wait for its reader.
            self._router.close()
            self._router = None
        self._connections.close()

    def _patience_ms(self) -> int:
        deadline = self._tracker.deadline
        if deadline is None:
            return round(1000 * self._settings.poll_s)
        return round(1000 * min(self._settings.poll_s, max(0.0, deadline - self._clock())))

    def _serve_round(self, router: "zmq.Socket[bytes]") -> None:
        """Answer all waiting requests, after saving their changes in one transaction."""
        now = self._clock()
        expiry = self._tracker.expire(now)
        changes: list[Change] = list(expiry.changes)
        events: list[Event] = list(expiry.events)
        replies: list[list[bytes]] = []
        for envelope, body in self._received(router):
            outcome, reply = self._answer(body, now)
            changes += outcome.changes
            events += outcome.events
            replies.append([*envelope, reply])
        self._saver.save(changes, now)
        for frames in replies:
            self._send(router, frames)
        self._reporter.tell(events, now)

    def _received(self, router: "zmq.Socket[bytes]") -> Iterator[tuple[list[bytes], list[bytes]]]:
        """Yield the envelope and body frames of each waiting request, up to a round."""
        for _ in range(self._settings.round_requests):
            try:
                frames = router.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._counters["requests"] += 1
            delimiter = _delimiter(frames)
            if delimiter is None:
                self._counters["without_delimiter"] += (
                    1  # Not a client of ours; there is nobody to answer.
                )
            else:
                yield frames[: delimiter + 1], frames[delimiter + 1 :]

    def _answer(self, body: list[bytes], now: float) -> tuple[Outcome, bytes]:
        try:
            request = _decoded(body)
        except MalformedMessageError as error:
            self._counters["malformed"] += 1
            unsupported = isinstance(error, UnsupportedMessageError)
            code = WireCode.UNSUPPORTED if unsupported else WireCode.MALFORMED
            return _failed(code, str(error)[:MAX_ERROR_CHARACTERS])
        try:
            outcome = self._tracker.handle(request, now)
            return outcome, messages.encode(self._completed(outcome.reply))
        except Exception as error:  # noqa: BLE001 - a bug: it costs one answer, not the service
            self._counters["bugs"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            kind = type(request).__name__.lower()
            self._reporter.warn(f"a bug in answering a {kind}, at {where}: {error!r}", now)
            return _failed(WireCode.INTERNAL, "the tracker failed; see its log")

    def _completed(self, reply: TrackerReply) -> TrackerReply:
        """Add the server's counters, which the tracker itself does not know."""
        if isinstance(reply, TrackerStatus):
            return msgspec.structs.replace(reply, counters=self._counted())
        return reply

    def _send(self, router: "zmq.Socket[bytes]", frames: list[bytes]) -> None:
        """Send, but never wait: one client that does not read would stop everybody.

        With ROUTER_MANDATORY, a full queue is an error here; without it, a silent loss.
        """
        try:
            router.send_multipart(frames, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in {zmq.EAGAIN, zmq.EHOSTUNREACH}:
                raise
            self._counters["dropped_replies"] += 1

    def _counted(self) -> dict[str, int]:
        return {
            **self._counters,
            "connections": self._connections.count,
            "refused_connections": self._connections.refused_count,
            "failed_saves": self._saver.failure_count,
        }


def _delimiter(frames: list[bytes]) -> int | None:
    """Return the index of the empty frame, after the client's routing id and its tags."""
    for index in range(1, min(len(frames), MAX_TAGS + 2)):
        if not frames[index]:
            return index
    return None


def _decoded(body: list[bytes]) -> Any:
    if len(body) != 1:
        raise MalformedMessageError(f"{len(body)} frames after the delimiter, 1 is expected")
    return messages.decode(body[0], TrackerRequest, messages.MAX_REQUEST_BYTES)


def _failed(code: WireCode, text: str) -> tuple[Outcome, bytes]:
    reply = Error(code, text)
    return Outcome(reply, (), ()), messages.encode(reply)

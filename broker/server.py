"""The tracker's ROUTER: receives requests, saves changes, sends replies, logs. Decides nothing.

It withstands clients that never read, strangers that send anything, and a disk that fails.
"""

import collections
import functools
import logging
import math
import queue
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, get_args

import msgspec
import zmq
from shoal.broker.reporter import Reporter
from shoal.broker.saver import Saver
from shoal.broker.sessions import Sessions
from shoal.broker.settings import ServerSettings
from shoal.broker.shared_saver import SharedSaver, ThreadCourier
from shoal.broker.stores import Store
from shoal.broker.tracking.changes import Change
from shoal.broker.tracking.events import Event
from shoal.broker.tracking.tracker import Expiry, Outcome, Tracker
from shoal.protocol import messages
from shoal.protocol.errors import MalformedMessageError, UnsupportedMessageError, WireCode
from shoal.protocol.keyring import NO_LONGER_KNOWN
from shoal.protocol.messages import (
    Error,
    Ok,
    Renew,
    TrackerReply,
    TrackerRequest,
    TrackerStatus,
    Update,
)
from shoal.protocol.permits import Asker
from shoal.protocol.pushing import News
from shoal.protocol.rota import Rota
from shoal.wire.connections import Connection
from shoal.wire.curve import Gate
from shoal.wire.listener import Letter, Listener
from shoal.wire.wake import Wake

_log = logging.getLogger("shoal.tracker")

MAX_ERROR_CHARACTERS = 500
_NOT_SHARED = messages.encode(
    Error(
        WireCode.NOT_SAVED,
        "it counts for as long as this tracker runs, but the store that the trackers share is away "
        "(the tracker's log says why); run this again when it is back",
    )
)
_NOT_SAVED = messages.encode(
    Error(
        WireCode.NOT_SAVED,
        "it counts for as long as the tracker runs, but the tracker's disk refused to save it "
        "(its log says why); mend that, and run this again",
    )
)
T = TypeVar("T")
_KIND_OF = {kind: kind.__name__.lower() for kind in get_args(TrackerRequest)}


class Machine(Protocol):
    """Whatever answers the requests: the tracker."""

    @property
    def deadline(self) -> float | None: ...
    def news_for(self, node: str) -> News: ...
    def handle(self, request: TrackerRequest, now: float, asker: Asker) -> Outcome: ...
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
        self._saver = self._saver_of(store)
        self._not_saved = _NOT_SHARED if store.is_shared else _NOT_SAVED
        self._reporter = Reporter(self._settings)
        self._waiting: Rota[tuple[str, Connection], Letter] = Rota()
        self._counters: collections.Counter[str] = collections.Counter()
        self._kinds = dict.fromkeys(_KIND_OF.values(), 0)
        self._sessions = Sessions()
        self._listener: Listener | None = None
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._has_work: Wake | None = None

    def _saver_of(self, store: Store) -> Saver | SharedSaver:
        if not store.is_shared:
            return Saver(store, self._settings)
        tracker, clock = self._tracker, self._clock
        assert isinstance(tracker, Tracker), "it takes in what others decide"
        wake = functools.partial(self.do, lambda: None)
        courier = ThreadCourier(store, lambda log: tracker.folded(log, clock()), wake)
        return SharedSaver(courier, tracker, self._settings, clock)

    def bind(
        self, context: "zmq.Context[zmq.Socket[bytes]]", address: str, gate: Gate | None = None
    ) -> None:
        """Listen on `address`, with a `gate` for those with keys alone.

        Raises:
            OperatorError: that is impossible.
        """
        most, settings = messages.MAX_REQUEST_BYTES, self._settings
        self._listener = Listener(context, address, most, settings.bounds, self._forget, gate)
        self._listener.router.setsockopt(zmq.LINGER, settings.linger_ms)
        self._has_work = Wake()

    def serve(self, stop: Wake) -> None:
        """Answer until `stop` is set."""
        listener, has_work = self._listener, self._has_work
        assert listener is not None, "bind comes first"
        assert has_work is not None
        poller = zmq.Poller()
        for each in (*listener.sockets, stop, has_work):
            poller.register(each, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(self._patience_ms(listener)))
            if stop.fileno() in ready:
                return
            if has_work.fileno() in ready:
                has_work.clear()
            while not self._work.empty():
                self._work.get()()
            now = self._clock()
            self._look(listener, now)
            self._take_in(listener, now)
            self._serve_round(listener)

    def do(self, work: Callable[[], None]) -> None:
        """Have something done soon, between two rounds. For any thread."""
        self._work.put(work)
        if self._has_work is not None:
            self._has_work.set()

    def ask(self, question: Callable[[], T], patience_s: float) -> T | None:
        """Return what a question is answered with between two rounds, or None if that takes long.

        For any thread but the one that serves. What the question raises is raised here.
        """
        answers: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

        def find_out() -> None:
            try:
                answers.put((question(), None))
            except Exception as error:  # noqa: BLE001 (a bug costs that answer, not the service)
                answers.put((None, error))

        self.do(find_out)
        try:
            answer, error = answers.get(timeout=patience_s)
        except queue.Empty:
            return None
        if error is not None:
            raise error
        return answer

    @property
    def now(self) -> Callable[[], float]:
        """The clock that it goes by."""
        return self._clock

    @property
    def store_trouble(self) -> str:
        """Why the store that the trackers share is away; empty if it is not. For any thread."""
        return self._saver.trouble

    @property
    def waiting_count(self) -> int:
        """How many requests wait for their answer."""
        return len(self._waiting)

    def kinds(self) -> dict[str, int]:
        """Return how many requests were answered, by kind. For the thread that serves."""
        return dict(self._kinds)

    def close(self) -> None:
        """Close the socket; replies that wait in it get a moment to be sent.

        That comes first, as a shared store may take seconds: who asks goes on with another tracker.
        """
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._saver.close()
        if self._has_work is not None:
            self._has_work.close()
            self._has_work = None

    def _patience_ms(self, listener: Listener) -> int:
        if self._waiting:
            return 0
        patience_s = self._settings.poll_s
        if listener.connections.count:
            patience_s = listener.patience_s
        for deadline in (self._tracker.deadline, self._saver.deadline()):
            if deadline is not None:
                patience_s = min(patience_s, max(0.0, deadline - self._clock()))
        return math.ceil(1000 * patience_s)

    def _look(self, listener: Listener, now: float) -> None:
        for ended in listener.look(now):
            self._cut_off(ended, "it takes too much memory", now)

    def _take_in(self, listener: Listener, now: float) -> None:
        """Take what has come out of libzmq's queues, which have no bounds, and bound it here."""
        waiting, settings = self._waiting, self._settings
        until = now + settings.take_in_s
        while self._clock() < until and (letter := listener.receive(now)) is not None:
            place = _place(letter.connection)
            count = waiting.put(place, letter, letter.size_bytes)
            if count > settings.most_waiting:
                self._end(listener, letter.connection, now)
            while waiting.size > settings.most_waiting_bytes:
                self._end(listener, waiting.largest()[-1], now)

    def _end(self, listener: Listener, connection: Connection, now: float) -> None:
        listener.connections.end(connection)
        self._cut_off(connection, "it has too many requests waiting", now)

    def _cut_off(self, connection: Connection, reason: str, now: float) -> None:
        """Forget what a connection that was ended has waiting."""
        self._forget(connection)
        self._counters["cut_off"] += 1
        self._reporter.warn(f"cut off {connection.address}: {reason}", now)

    def _forget(self, connection: Connection) -> None:
        self._waiting.drop(_place(connection))
        self._sessions.over(connection)

    def _serve_round(self, listener: Listener) -> None:
        """Answer those whose turn it is, after saving their changes in one transaction."""
        now = self._clock()
        self._saver.catch_up(now)
        expiry = self._tracker.expire(now)
        changes: list[Change] = list(expiry.changes)
        events: list[Event] = list(expiry.events)
        replies: list[tuple[Letter, bytes, bool]] = []
        notified = dict.fromkeys(expiry.notified)
        until = now + self._settings.round_s
        while self._waiting and len(replies) < self._settings.round_requests:
            began = self._clock()
            if began > until:
                break
            place, letter = self._waiting.take()
            self._counters["requests"] += 1
            outcome, reply = self._answer(letter, now)
            changes += outcome.changes
            events += outcome.events
            notified |= dict.fromkeys(outcome.notified)
            replies.append((letter, reply, outcome.promises))
            self._waiting.charge(place, self._clock() - began)
        is_saved = self._saver.save(changes, now)
        for letter, reply, promises in replies:
            if not listener.send(letter, reply if is_saved or not promises else self._not_saved):
                self._counters["dropped_replies"] += 1
        notified |= dict.fromkeys(self._saver.taken_notified())
        if notified:
            self._sessions.notify(listener, notified, self._tracker.news_for)
        self._reporter.tell(events, now)

    def _answer(self, letter: Letter, now: float) -> tuple[Outcome, bytes]:
        try:
            request = _decoded(letter.body)
        except MalformedMessageError as error:
            self._counters["malformed"] += 1
            unsupported = isinstance(error, UnsupportedMessageError)
            code = WireCode.UNSUPPORTED if unsupported else WireCode.MALFORMED
            return _failed(code, str(error)[:MAX_ERROR_CHARACTERS])
        assert self._listener is not None
        asker = self._listener.asker(letter.connection)
        if self._listener.is_refused(asker):
            return _failed(WireCode.NOT_ALLOWED, NO_LONGER_KNOWN)
        try:
            self._kinds[_KIND_OF[type(request)]] += 1
            outcome = self._tracker.handle(request, now, asker)
            if isinstance(request, Update | Renew) and isinstance(outcome.reply, Ok):
                self._sessions.heard(request, letter)
            return outcome, messages.encode(self._completed(outcome.reply))
        except Exception as error:  # noqa: BLE001 - a bug: it costs one answer, not the service
            self._counters["bugs"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            kind = _KIND_OF[type(request)]
            self._reporter.warn(f"a bug in answering a {kind}, at {where}: {error!r}", now)
            return _failed(WireCode.INTERNAL, "the tracker failed; see its log")

    def _completed(self, reply: TrackerReply) -> TrackerReply:
        """Add the server's counters and trouble, which the tracker itself does not know."""
        if isinstance(reply, TrackerStatus):
            trouble = f"the store is away: {self._saver.trouble}" if self._saver.trouble else ""
            return msgspec.structs.replace(reply, counters=self.counted(), trouble=trouble)
        return reply

    def counted(self) -> dict[str, int]:
        """Return all other counters. For the thread that serves."""
        assert self._listener is not None
        listener, connections = self._listener, self._listener.connections
        return {
            **self._counters,
            "without_delimiter": listener.without_envelope,
            "connections": connections.count,
            "refused_connections": connections.refused_count,
            "refused_keys": listener.refused_count,
            **self._saver.counts(),
        }


def _place(connection: Connection) -> tuple[str, Connection]:
    """Return where a connection's requests wait: each host has its turn, and each of its own."""
    return connection.address, connection


def _decoded(body: list[zmq.Frame]) -> Any:
    if len(body) != 1:
        raise MalformedMessageError(f"{len(body)} frames after the delimiter, 1 is expected")
    return messages.decode(body[0].bytes, TrackerRequest, messages.MAX_REQUEST_BYTES)


def _failed(code: WireCode, text: str) -> tuple[Outcome, bytes]:
    reply = Error(code, text)
    return Outcome(reply, (), ()), messages.encode(reply)

"""A ROUTER that anybody may speak to: it takes in what has an envelope, and never waits for anyone.

libzmq must never stop reading from a connection: one that is reset while its queue is full, with a
PING still unanswered, aborts the process (libzmq#4364, open in 4.3.5). So queues have no high-water
mark. Whoever owns the listener takes messages out as they come, bounds what it keeps of each
connection, and ends those that exceed it; what it does not see is bounded by `Connections.watch`.
"""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import zmq
from shoal.protocol.permits import Asker
from shoal.wire import curve, frames, sockets
from shoal.wire.connections import Bounds, Connection, Connections
from shoal.wire.curve import Door, Gate

WATCH_S = 0.02  # How often to see whether the process grows: 30 MB of a quick stranger's.
LETTER_BYTES = 1000  # Of Python's, for a message that waits.
GRACE_S = 0.5  # Whoever loses access is told so meanwhile, if it asks for something.
MOST_FAULTS = 100  # Messages without an envelope; then whoever sends them is cut off.
MOST_PASSED_OVER = 1000  # Messages at a time, in 2 ms: others have to be looked after, too.
MOST_DEAD = 10_000  # Connections of which we know that they have ended.
MOST_TAGS = 4  # Frames before the delimiter that come back unchanged; a client needs one.


class Letter(NamedTuple):
    """A message: what its answer begins with, and what comes after that."""

    connection: Connection
    envelope: list[bytes]
    body: list[zmq.Frame]
    size_bytes: int  # That it takes in memory, about.


class Listener:
    """Bound from the start; poll its `sockets`, call `look` at least each WATCH_S, `close` it."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        address: str,
        most_frame_bytes: int,
        bounds: Bounds,
        on_over: Callable[[Connection], None] = lambda _: None,
        gate: Gate | None = None,
    ) -> None:
        """Listen at `address`, for frames of so many bytes at most.

        `on_over` gets each connection that has ended, in `look` and `receive`. With a `gate` only
        those with keys are let in; then the context must have no other listener.

        Raises:
            OperatorError: it cannot be bound.
        """
        self.without_envelope = 0  # Messages that were dropped as nobody could be answered.
        self._watch_at = 0.0
        self._added_bytes = 0 if gate is None else curve.ADDED_BYTES  # To each frame.
        self._removals = 0 if gate is None else gate.removals()
        self._weed_at: float | None = None  # When to end those that have lost access.
        self._gate = gate
        self._door = Door(context, gate)
        self.router = router = context.socket(zmq.ROUTER)
        self._door.guard(router)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # Sending says whether the asker is gone.
        router.setsockopt(zmq.MAXMSGSIZE, most_frame_bytes + self._added_bytes)
        router.setsockopt(zmq.SNDBUF, sockets.SEND_BUFFER_BYTES)
        router.setsockopt(zmq.RCVBUF, sockets.REQUEST_BUFFER_BYTES)
        router.set_hwm(0)
        is_secured = gate is not None
        self.connections = Connections(context, router, bounds, on_over, is_secured=is_secured)
        self._dead: set[bytes] = set()  # Routing ids of connections that have ended.
        try:
            sockets.bind(router, address, bounds.unacknowledged_ms)
        except BaseException:
            self.close()
            raise
        self.connections.read(0.0)  # It is told of the listening socket, before anybody connects.

    @property
    def sockets(self) -> "tuple[zmq.Socket[bytes], ...]":
        """What to poll: the router, and those for which to `look`."""
        return self.router, self.connections.socket, self._door.socket

    @property
    def patience_s(self) -> float:
        """How long to wait at most before the next look, while there are connections."""
        return WATCH_S / 4 if self.connections.is_growing else WATCH_S

    @property
    def refused_count(self) -> int:
        """How many were not let in, as their key is not known."""
        return self._door.refused_count

    def asker(self, connection: Connection) -> Asker:
        """Return from whom messages of a connection are, as of now."""
        who = None if self._gate is None else self._gate.who(connection.key)
        return Asker(connection.address, who)

    def is_refused(self, asker: Asker) -> bool:
        """Say whether that is somebody whose key was removed after it had been let in."""
        return self._gate is not None and asker.who is None

    def look(self, now: float) -> list[Connection]:
        """Take in what happened to the connections; return those that were ended for their size."""
        self.connections.read(now)
        self._door.look(now, is_full=self.connections.is_full)
        if self._gate is not None:
            self._weed(self._gate, now)
        if now < self._watch_at:
            return []
        self.connections.make_room(now)
        ended = self.connections.watch(now)
        self._watch_at = now + self.patience_s
        return ended

    def receive(self, now: float) -> Letter | None:
        """Return the next message that can be answered, without copying it; None if there is none.

        What has no envelope is passed over, and what comes from a connection that has ended; after
        many of those it returns None, too.
        """
        for _ in range(MOST_PASSED_OVER):
            message = frames.receive(self.router, self._dead)
            if message is None:
                return None
            letter = self._letter(message, now) if message else None
            if letter is not None:
                return letter
            self.connections.passed_over(now)
        return None

    def send(self, letter: Letter, *body: bytes) -> bool:
        """Answer, and say whether the asker is still there. Copies the bytes."""
        *first, last = *letter.envelope, *body
        if not self._give(letter.connection, first, len(last)):
            return False
        frames.send(self.router, [last])
        return True

    def begin(self, letter: Letter, body: bytes, payload_bytes: int) -> bool:
        """Begin an answer whose last frame, of so many bytes, the caller sends by way of `router`.

        Say whether the asker is still there; if not, nothing was begun.
        """
        first = [*letter.envelope, body]
        return self._give(letter.connection, first, payload_bytes)

    def _give(self, connection: Connection, first: list[bytes], last_bytes: int) -> bool:
        """Send the first frames of an answer; the last one, of so many bytes, follows."""
        try:
            for frame in first:
                frames.begin(self.router, frame)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            return False
        added = self._added_bytes
        wire_bytes = [frames.size_on_the_wire(frame, added) for frame in first[1:]]
        connection.given_bytes += sum(wire_bytes) + frames.framed_bytes(last_bytes + added)
        return True

    def close(self) -> None:
        with contextlib.suppress(zmq.ZMQError):  # It could not be bound, and is closed.
            self.router.disable_monitor()  # First: libzmq would wait for its reader.
        self.router.close()
        self.connections.close()
        self._door.close()

    def _weed(self, gate: Gate, now: float) -> None:
        """End, soon, the connections of those who have lost access.

        Nobody knows whose those are that have not said anything yet, so they have to begin anew.
        """
        if gate.removals() != self._removals:
            self._removals = gate.removals()
            self._weed_at = now + GRACE_S
        if self._weed_at is not None and now >= self._weed_at:
            self._weed_at = None
            self.connections.end_those(lambda one: gate.who(one.key) is None)

    def _letter(self, message: list[zmq.Frame], now: float) -> Letter | None:
        added = self._added_bytes
        size_bytes = sum([frames.size_on_the_wire(frame, added) for frame in message[1:]])
        connection = self.connections.of(message[0], now)
        if connection is None:
            self._dead.add(message[0].bytes)
            if len(self._dead) > MOST_DEAD:
                self._dead.clear()
            return None
        connection.taken_bytes += size_bytes
        if len(message) == frames.MOST_FRAMES:
            self.connections.end(connection)
            return None
        parts = split(message)
        if parts is None:
            self.without_envelope += 1
            connection.faults += 1
            if connection.faults > MOST_FAULTS:
                self.connections.end(connection)
            return None
        self.connections.heard(connection)
        return Letter(connection, *parts, size_bytes + LETTER_BYTES)


def split(message: list[zmq.Frame]) -> tuple[list[bytes], list[zmq.Frame]] | None:
    """Return the envelope and what comes after it; None if there is no envelope.

    That is the routing id and some tags of the client's, and the empty frame after them.
    """
    for index in range(1, min(len(message), MOST_TAGS + 2)):
        if not len(message[index]):
            return [frame.bytes for frame in message[: index + 1]], message[index + 1 :]
    return None

"""The connections of a listening socket: from whom, how many, and how much of our memory each has.

libzmq accepts everybody, and bounds what waits for us by the number of messages: the frames of one
message are not counted, nor the bytes. It cannot close a single connection either. But its monitor
tells the descriptor of each, which can be shut down, and the kernel tells what went over it.
"""

import contextlib
import itertools
import logging
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass

import zmq
from shoal.system import descriptors, memory
from shoal.wire import curve, frames, sockets
from shoal.wire.seats import Seats

log = logging.getLogger("shoal.wire")

_ACCEPTED, _DISCONNECTED = int(zmq.EVENT_ACCEPTED), int(zmq.EVENT_DISCONNECTED)
_EVENTS = zmq.EVENT_LISTENING | _ACCEPTED | _DISCONNECTED
_MOST_EVENTS = 32  # Read at a time, in some 2 ms: a stampede must not delay requests.
FRAME_COST = 32  # A frame of no byte is two bytes on the wire, and 64 in memory.
_SERIAL = slice(1, 5)  # Of the routing ids that libzmq makes itself: a zero and a serial number.
_serial = itertools.count()
_REMEDY = ". Raise the limit on open files (ulimit -n), then start this again"


@dataclass(frozen=True)
class Bounds:
    """What all connections of one socket together may take."""

    spare_descriptors: int = 64  # Never given to connections: files, the log, the rest.
    most: int = 2048  # Connections, of 32 KiB each in libzmq: twice the 800 nodes of a file.
    most_from_one_host: int = 512
    most_silent: int = 256  # That have never asked anything: 8 MiB.
    asks_within_s: float = 0.5  # A connection, or it may be one too many of those.
    most_waiting_bytes: int = 16 << 20  # In memory: received, and not taken …
    most_unsent_bytes: int = 16 << 20  # … or given, and not sent.
    growth_bytes: int = 8 << 20  # Of the process, before it is looked who has how much.
    trim_s: float = 0.1  # From cutting somebody off until what that freed is given back.
    unacknowledged_ms: int = sockets.UNACKNOWLEDGED_MS  # Then a connection is given up.
    warn_every_s: float = 60.0


class Connection:
    """One connection that was accepted, from then on until its end."""

    __slots__ = (
        "address",
        "begun_at",
        "faults",
        "given_bytes",
        "is_ended",
        "key",
        "number",
        "pace",
        "peer",
        "routing_id",
        "serial",
        "taken_bytes",
    )

    def __init__(self, number: int, peer: tuple[str, int] | None, now: float) -> None:
        """`number` is the descriptor's, which may be another connection's after the end."""
        self.number = number
        self.serial = next(_serial)  # No other one's, ever.
        self.peer = peer
        self.address = peer[0] if peer else ""
        self.routing_id = b""  # Known from the first message on …
        self.key = b""  # … and the public key of whoever it is, if there are keys.
        self.taken_bytes = 0  # Of messages that were received …
        self.given_bytes = 0  # … and sent by this process, with ZMTP's flags and lengths.
        self.pace: int | None = None  # At which it is sent to, in bytes/s; None: any.
        self.faults = 0  # Messages that it should not have sent.
        self.begun_at = now
        self.is_ended = False  # By us: what has come and is still to be read counts no more.


class Connections:
    """Reads the monitor of a listening socket; `socket` must be polled: libzmq waits for us."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        listener: "zmq.Socket[bytes]",
        bounds: Bounds,
        on_over: Callable[[Connection], None],
        *,
        is_secured: bool = False,
    ) -> None:
        """Start counting, before the listener is bound; `on_over` gets those that have ended."""
        self.refused_count = 0
        self.is_growing = self.is_full = False  # The process, at the last look.
        self._is_secured = is_secured
        self._bounds = bounds
        self._on_over = on_over
        self._usual_bytes = memory.resident_bytes()
        self._trim_at = math.inf
        self._busy_until = 0.0  # With what strangers have left.
        self._by_number: dict[int, Connection] = {}
        limit = descriptors.raise_limit()
        most = min(bounds.most, max(limit - bounds.spare_descriptors, limit // 2))
        self._most, self._are_few = most, most < bounds.most
        self._seats: Seats[Connection] = Seats(most, bounds.most_from_one_host, bounds.most_silent)
        self._warn_at = 0.0
        endpoint = f"inproc://connections-{next(_serial)}"
        listener.monitor(endpoint, _EVENTS)
        self.socket = context.socket(zmq.PAIR)
        self.socket.setsockopt(zmq.RCVHWM, 0)  # A full queue would stop libzmq's I/O thread.
        self.socket.connect(endpoint)

    @property
    def count(self) -> int:
        return len(self._by_number)

    def read(self, now: float) -> None:
        """Take in which connections have begun and ended, and end those that are too many."""
        for _ in range(_MOST_EVENTS if frames.has_mail(self.socket) else 0):
            told = frames.receive(self.socket)
            if told is None:
                return
            event, number = sockets.MONITOR.unpack(told[0].buffer)
            if event == _ACCEPTED:
                self._begun(number, now)
            elif event == _DISCONNECTED:
                self._over(number)
            else:
                _prepare(number)

    def of(self, frame: zmq.Frame, now: float) -> Connection | None:
        """Return the connection of a message, given its first frame; None if that has ended."""
        number, routing_id = frames.descriptor(frame), frame.bytes
        found = self._by_number.get(number)
        if found is None or found.routing_id != routing_id:
            while frames.has_mail(self.socket):  # Or it would be taken for the one before it.
                self.read(now)
            found = self._by_number.get(number)
            if found is None or _is_older(routing_id, found.routing_id):
                return None
            found.routing_id = routing_id
            if self._is_secured:
                found.key = curve.key_of(frame)
        return None if found.is_ended else found

    def end(self, connection: Connection) -> None:
        """Shut a connection down; libzmq closes it when it sees the end."""
        connection.is_ended = True
        self._seats.remove(connection)
        with contextlib.suppress(OSError):
            copied = sockets.connection(connection.number)
            if copied is not None:
                with copied:
                    if _place(copied.getpeername()) == connection.peer:  # Not another's by now.
                        sockets.abort(copied)
                return
            with sockets.borrowed(connection.number) as opened:  # No descriptor is left.
                if _place(opened.getpeername()) == connection.peer:
                    opened.shutdown(socket.SHUT_RDWR)

    def pace(self, connection: Connection, rate: int | None) -> None:
        """Have the kernel send at most so many bytes/s over a connection, evenly; None: any."""
        if connection.pace == rate or connection.is_ended:
            return
        copied = sockets.connection(connection.number)
        if copied is None:
            return
        with copied, contextlib.suppress(OSError):
            if _place(copied.getpeername()) == connection.peer:  # Not another's by now.
                sockets.pace(copied, rate)
                connection.pace = rate

    def flow(self, connection: Connection) -> tuple[float, int] | None:
        """Return a connection's usual round trip, and how much has arrived (sockets.flow)."""
        with contextlib.suppress(OSError), sockets.borrowed(connection.number) as opened:
            return sockets.flow(opened)
        return None

    def end_those(self, condition: Callable[[Connection], bool]) -> None:
        """Shut down all connections for which that holds."""
        for each in self._by_number.values():
            if not each.is_ended and condition(each):
                self.end(each)

    def watch(self, now: float) -> list[Connection]:
        """End and return those that take most memory, if all take too much; call it often.

        Looks at each only when the process has grown, as that costs some 5 us a connection.
        """
        if now >= self._trim_at:  # Or others could fill it again, and we would not see a growth.
            self._trim_at = now + self._bounds.trim_s if now < self._busy_until else math.inf
            memory.return_freed_memory()
        now_bytes = memory.resident_bytes()
        more_bytes, most_bytes = now_bytes - self._usual_bytes, self._bounds.growth_bytes
        self.is_growing, self.is_full = more_bytes > most_bytes // 4, more_bytes > 2 * most_bytes
        if more_bytes < most_bytes:
            self._usual_bytes = min(self._usual_bytes, now_bytes or self._usual_bytes)
            return []
        ended = self._end_the_largest()
        if ended:
            self.passed_over(now)
        elif now >= self._busy_until:  # It is something else that has grown.
            self._usual_bytes = now_bytes
        return ended

    def _end_the_largest(self) -> list[Connection]:
        held = {each: _held_bytes(each) for each in self._by_number.values()}
        bounds, ended = self._bounds, list[Connection]()
        for which, most_bytes in enumerate((bounds.most_waiting_bytes, bounds.most_unsent_bytes)):
            total = sum(one[which] for one in held.values())
            for each in sorted(held, key=lambda one: held[one][which], reverse=True):
                if total <= most_bytes:
                    break
                total -= held[each][which]
                if not each.is_ended:
                    ended.append(each)
                    self.end(each)
        return ended

    def passed_over(self, now: float) -> None:
        """Note that strangers whose connections were ended still take memory."""
        self._busy_until = now + 4 * self._bounds.trim_s
        self._trim_at = min(self._trim_at, now + self._bounds.trim_s)

    def make_room(self, now: float) -> None:
        """End those that have not asked anything, if they are too many; call it often."""
        before = now - self._bounds.asks_within_s
        while (excess := self._seats.overdue(before)) is not None:
            self._refuse(excess, now)

    def heard(self, connection: Connection) -> None:
        """Note that a connection has asked something."""
        self._seats.heard(connection)

    def close(self) -> None:
        self.socket.close(linger=0)

    def _begun(self, number: int, now: float) -> None:
        begun = self._by_number[number] = Connection(number, _peer(number), now)
        if self._is_secured:
            begun.taken_bytes = curve.HANDSHAKE_BYTES  # Not in memory any more.
        if self._seats.count >= self._most:
            self._warn(now)
        excess = self._seats.put(begun)
        if excess is not None:
            self._refuse(excess, now)

    def _refuse(self, excess: Connection, now: float) -> None:
        self.refused_count += 1
        self.passed_over(now)
        self.end(excess)

    def _over(self, number: int) -> None:
        ended = self._by_number.pop(number, None)
        if ended is None:
            return
        self._seats.remove(ended)
        self._on_over(ended)

    def _warn(self, now: float) -> None:
        if now < self._warn_at:
            return
        self._warn_at = now + self._bounds.warn_every_s
        log.warning(
            "%d connections are open; each new one ends one that is silent%s",
            self._most,
            _REMEDY if self._are_few else "",
        )


def _prepare(number: int) -> None:
    listener = sockets.connection(number)
    if listener is not None:
        with listener:
            sockets.prepare_listening(listener)


def _peer(number: int) -> tuple[str, int] | None:
    with contextlib.suppress(OSError), sockets.borrowed(number) as accepted:
        return _place(accepted.getpeername())
    return None


def _place(name: tuple[str, int]) -> tuple[str, int]:
    """Return a host's address and port; an IPv4 address looks the same on all sockets."""
    return name[0].removeprefix("::ffff:"), name[1]


def _is_older(one: bytes, other: bytes) -> bool:
    """Say whether one routing id was made before another; both by libzmq, which counts up.

    What an ended connection sent may be read when its descriptor is a new one's already.
    """
    if len(one) != len(other) or one[:1] != b"\0" or other[:1] != b"\0":
        return False
    ahead = int.from_bytes(one[_SERIAL]) - int.from_bytes(other[_SERIAL])
    return ahead % 2**32 >= 2**31


def _held_bytes(connection: Connection) -> tuple[int, int]:
    """Return how much of a connection's is in memory: what has come, and what has not left."""
    with contextlib.suppress(OSError), sockets.borrowed(connection.number) as opened:
        came, left = sockets.transferred_bytes(opened)
        waiting = max(0, came - connection.taken_bytes)
        return FRAME_COST * waiting, max(0, connection.given_bytes - left)
    return 0, 0

"""Stands in for libzmq's DEALER, REP and ROUTER, over simulated connections.

A REP answers once before it takes the next request; queues are bounded; a DEALER connects again.
"""

import collections
import errno
from typing import Any

import zmq
from shoal.wire import connections as product_connections
from shoal.wire import frames as product_frames
from shoal.wire import handshake as product_handshake

from tests.simulation.faults import attempts, opened, waiting
from tests.simulation.faults.attempts import FINAL, NO_DETAIL, Attempt
from tests.simulation.faults.connections import End, Frames, Near
from tests.simulation.faults.sockets import KINDS, Context, Socket, descriptor, nets, on_left
from tests.simulation.faults.threads import the_loop


class Dealer(Socket):
    """Connects to one address at a time, for once or again and again."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._end: End | Near | None = None
        self._attempt: Attempt | None = None
        self._is_ended = False  # It will never be connected again.
        self._unsent: collections.deque[Frames] = collections.deque()
        self._pause_s = 0.0
        self.turn = 0  # What an earlier one led to comes too late.

    def connect(self, address: str) -> None:
        if address in self.context.endpoints:
            bound = self.context.endpoints[address]
            assert isinstance(bound, Rep)
            number = the_loop().next_number()
            self._end, there = Near(self, number), Near(bound, number)
            self._end.peer, there.peer = there, self._end
            return
        self._address, self._is_ended = address, False
        self._pause_s = int(self.options.get(int(zmq.RECONNECT_IVL), 100)) / 1000
        self._try()

    def disconnect(self, address: str) -> None:
        """Drop the connection, and what is neither sent nor read yet. The monitor hears nothing."""
        if address != self._address or self._is_ended:
            raise zmq.ZMQError(errno.ENOENT)
        self._use()
        self.turn += 1
        end, self._end, self._address = self._end, None, ""
        self._unsent.clear()
        self._inbox.clear()
        if self._attempt is not None:
            self._attempt.give_up()
        if end is not None:
            end.close()

    def send_frames(self, frames: Frames, releases: "tuple[Any, int] | None") -> None:
        waits = len(self._unsent) + (len(self._end.out) if self._end else 0)
        if waits >= self.high_water or self._is_ended:
            raise zmq.Again
        if self._end is None:
            self._unsent.append(frames)
        else:
            self._end.send(frames, on_left(releases, self.process))

    def reached(self) -> None:
        self.tell(zmq.EVENT_CONNECTED)

    def connected(self, end: End) -> None:
        self._end = end
        self._pause_s = int(self.options.get(int(zmq.RECONNECT_IVL), 100)) / 1000
        self.tell(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        while self._unsent:
            end.send(self._unsent.popleft())

    def failed(self, event: int = 0) -> None:
        if not event:
            self.tell(zmq.EVENT_CLOSED)
        else:
            self.tell(event)
            self.tell(zmq.EVENT_DISCONNECTED)
        stops = self.options.get(int(zmq.RECONNECT_STOP)) == zmq.RECONNECT_STOP_HANDSHAKE_FAILED
        if event in FINAL or (event == NO_DETAIL and stops):
            self._is_ended = True
            self._unsent.clear()
        else:
            self._try_again()

    def came(self, end: End | Near, frames: Frames) -> None:
        if end is self._end:
            self.put(frames, end)

    def lost(self, end: End) -> None:
        if end is self._end and not self.is_closed:
            self._end = None
            self.tell(zmq.EVENT_DISCONNECTED)
            self._try_again()

    def _try_again(self) -> None:
        if self._pause_s > 0:
            loop = the_loop()
            loop.at(loop.now + self._pause_s, self._reconnect, self.turn)
            most_s = int(self.options.get(int(zmq.RECONNECT_IVL_MAX), 0)) / 1000
            self._pause_s = min(2 * self._pause_s, most_s) or self._pause_s

    def _reconnect(self, turn: int) -> None:
        is_gone = self.is_closed or self.process.is_dead or turn != self.turn
        if not is_gone and self._end is None:
            self._try()

    def _try(self) -> None:
        self._attempt = Attempt(nets[0], self, self._address)
        self._attempt.begin()

    def _close(self, *, lingers: bool) -> None:
        if self._attempt is not None:
            self._attempt.give_up()
        if self._end is not None:
            self._end.close(lingers=lingers)


class _Bound(Socket):
    """Is connected to; takes requests from one connection after the other."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.taken = 0
        self._queues: collections.OrderedDict[End | Near, collections.deque[Frames]] = (
            collections.OrderedDict()
        )
        self.ends: dict[bytes, End | Near] = {}
        self._greeting: dict[End, None] = {}  # Connections whose handshake is not over.
        self.owed: collections.Counter[End | Near] = collections.Counter()  # Answers.

    def bind(self, address: str) -> None:
        net = nets[0]
        if address.startswith("inproc:"):
            super().bind(address)
            return
        if address in net.bound:
            raise zmq.ZMQError(zmq.EADDRINUSE)
        self._address = address
        net.bound[address] = self
        self.tell(zmq.EVENT_LISTENING)

    def has_mail(self) -> bool:
        return bool(self._rest or self._queues)

    def accepted(self, end: End) -> None:
        self._greeting[end] = None
        self.tell(zmq.EVENT_ACCEPTED, descriptor(end))

    def shaken(self, end: End) -> None:
        del self._greeting[end]
        self.ends[_identity(end)] = end

    def joined(self, near: Near) -> None:
        """Take in a connection from within the process."""
        self.ends[_identity(near)] = near

    def parted(self, near: Near) -> None:
        del self.ends[_identity(near)]
        self.owed.pop(near, None)

    def came(self, end: End | Near, frames: Frames) -> None:
        self._queues.setdefault(end, collections.deque()).append(frames)
        self.announce()

    def lost(self, end: End) -> None:
        self.owed.pop(end, None)
        was_greeting = end in self._greeting
        self._greeting.pop(end, None)
        if self.ends.pop(_identity(end), None) is not None or was_greeting:
            self.tell(zmq.EVENT_DISCONNECTED, descriptor(end))

    def take(self) -> tuple[Frames, End | Near]:
        """Remove the next message: the oldest of the connection that has waited longest."""
        if not self._queues:
            raise zmq.Again
        end, queue = self._queues.popitem(last=False)
        frames = queue.popleft()
        if queue:
            self._queues[end] = queue
        self.taken += 1
        if self.ends.get(_identity(end)) is end:  # Otherwise nobody waits for the answer.
            self.owed[end] += 1
        return frames, end

    def _close(self, *, lingers: bool) -> None:
        nets[0].bound.pop(self._address, None)
        for end in [*self.ends.values(), *self._greeting]:
            end.close(lingers=lingers)
        self._queues.clear()


def _identity(end: End | Near) -> bytes:
    return b"\0%04d" % end.number


class Rep(_Bound):
    """Takes a request, and answers it once before it takes the next one."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.answered = 0
        self.unanswerable = 0  # Without a delimiter: libzmq drops those.
        self.asking: tuple[End | Near, Frames] | None = None

    def has_mail(self) -> bool:
        return bool(self._rest) or (self.asking is None and bool(self._queues))

    def _next(self) -> tuple[Frames, End | Near | None]:
        assert self.asking is None, "a REP received twice, and sent nothing in between"
        frames, end = self.take()
        if b"" not in frames:
            self.unanswerable += 1
            raise zmq.Again
        at = frames.index(b"") + 1
        self.asking = end, frames[:at]
        return frames[at:] or [b""], end

    def send_frames(self, frames: Frames, releases: "tuple[Any, int] | None") -> None:
        assert self.asking is not None, "a REP sent what nobody asked for"
        (end, envelope), self.asking = self.asking, None
        self.answered += 1
        end.send([*envelope, *frames], on_left(releases, self.process))
        if self._queues:
            self.announce()


class Router(_Bound):
    """Names the connection that each message came over, and sends to the one that is named."""

    def _next(self) -> tuple[Frames, End | Near | None]:
        frames, end = self.take()
        return [_identity(end), *frames], end

    def send(self, data: bytes, flags: int = 0, copy: bool = True) -> None:  # noqa: FBT001, FBT002 (as zmq has it)
        if not self._parts:
            self._require_room(data)
        super().send(data, flags, copy)

    def _require_room(self, identity: bytes) -> None:
        """Refuse the first frame of what cannot be sent, as libzmq does; never a later one."""
        end = self.ends.get(identity)
        if end is None:
            raise zmq.ZMQError(zmq.EHOSTUNREACH)
        if len(end.out) >= self.high_water:
            raise zmq.Again

    def send_frames(self, frames: Frames, releases: "tuple[Any, int] | None") -> None:
        end = self.ends.get(frames[0])
        if end is None:
            return
        self.owed[end] -= 1
        end.send(frames[1:], on_left(releases, self.process))


KINDS.update({int(zmq.DEALER): Dealer, int(zmq.REP): Rep, int(zmq.ROUTER): Router})


def plain_receive(sock: Socket, flags: int = 0, copy: bool = True) -> Any:  # noqa: FBT001, FBT002 (as zmq has it)
    """Stands in for what the product takes from pyzmq's backend."""
    return sock.recv(flags, copy)


def plain_send(sock: Socket, data: bytes, flags: int = 0, copy: bool = True) -> None:  # noqa: FBT001, FBT002 (as zmq has it)
    """Stand in for the method of pyzmq's plain sockets, which the product calls by itself."""
    sock.send(data, flags, copy)


def _peer(number: int) -> tuple[str, int] | None:
    """Stand in for what the kernel tells of the other end of a connection."""
    host = nets[0].address_of_client(number - waiting.FIRST_NUMBER)
    return (host, number) if host else None


REPLACED: list[tuple[Any, str, Any]] = [
    (product_connections, "_peer", _peer),
    (product_handshake, "mechanism_at", attempts.mechanism_at),
    *opened.REPLACED,
    (zmq, "Context", Context),
    (zmq, "Poller", waiting.Poll),
    (zmq, "zmq_poll", waiting.zmq_poll),
    (zmq, "select", waiting.zmq_select),
    (product_frames, "_send", plain_send),
    (product_frames, "_receive", plain_receive),
]

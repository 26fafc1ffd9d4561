"""Stands in for libzmq's contexts, sockets and frames; what each kind of socket does is `patterns`.

What the product relies on is kept: the descriptor of a socket tells of signals, not of messages
(zmq_getsockopt(3), ZMQ_FD), and a context waits at its end until all sockets are closed.
"""

import collections
import math
import struct
from typing import Any, Self

import zmq
from shoal.wire import sockets as product_sockets
from zmq.utils import garbage

from tests.simulation.faults import attempts, waiting
from tests.simulation.faults.connections import End, Frames, Near, Net
from tests.simulation.faults.threads import KilledError, Process, the_loop
from tests.simulation.faults.waiting import Source

EVENTS, FD = int(zmq.EVENTS), int(zmq.FD)
SNDMORE, NOBLOCK = int(zmq.SNDMORE), int(zmq.NOBLOCK)
MOST_TERM_S = 10.0
MAX_RT_MS = 127_000  # What Linux does without that option.
USUAL_HIGH_WATER = 1000
_NUMBER = struct.Struct("@N")

nets: list[Net] = []
KINDS: dict[int, type["Socket"]] = {}  # Those with connections add themselves.


def begin(net: Net) -> None:
    nets[:] = [net]
    attempts.begin(net)


class Frame:
    """Stands in for zmq.Frame."""

    __slots__ = ("_end", "bytes", "more")

    def __init__(self, data: bytes, more: bool, end: End | Near | None) -> None:  # noqa: FBT001 (as zmq has it)
        self.bytes = data
        self.more = more
        self._end = end

    @property
    def buffer(self) -> memoryview:
        return memoryview(self.bytes)

    def __len__(self) -> int:
        return len(self.bytes)

    def get(self, name: str) -> str:
        if self._end is None:
            raise zmq.ZMQError(zmq.EINVAL)
        if name == "User-Id":
            if not isinstance(self._end, End) or not self._end.user:
                raise zmq.ZMQError(zmq.EINVAL)
            return self._end.user
        assert name == "__fd"
        return str(descriptor(self._end))


def descriptor(end: End | Near) -> int:
    """Return the number of a connection, which is none of the kernel's."""
    return waiting.FIRST_NUMBER + end.number


class Context:
    """Stands in for zmq.Context."""

    def __init__(self, **_: int) -> None:
        process = the_loop().process()
        assert process is not None
        self.process = process
        self.sockets: dict[Socket, None] = {}
        self.endpoints: dict[str, Socket] = {}
        process.at_end.append(self.destroy)

    def set(self, _: int, __: int) -> None:
        """Take an option that changes nothing here."""

    def socket(self, kind: int) -> "Socket":
        made = KINDS[int(kind)](self)
        self.sockets[made] = None
        return made

    def term(self) -> None:
        """Wait until all sockets are closed, which must be soon, and end."""
        loop = the_loop()
        until = loop.now + MOST_TERM_S
        while self.sockets:
            assert loop.now < until, "a socket was left open"
            loop.pass_time(0.01)
        if self.destroy in self.process.at_end:
            self.process.at_end.remove(self.destroy)

    def destroy(self) -> None:
        for each in list(self.sockets):
            each.close()


class _Mail(Source):
    def __init__(self, socket: "Socket") -> None:
        super().__init__()
        self._socket = socket

    def is_ready(self) -> bool:
        return self._socket.has_mail()


class _Signal(Source):
    """A socket's descriptor: readable after a signal, until the socket is used."""

    def __init__(self) -> None:
        super().__init__()
        self.is_set = False

    def is_ready(self) -> bool:
        return self.is_set


class Socket:
    """What all kinds have in common. This one receives what others put into it (PAIR, PULL)."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.process: Process = context.process
        self.options: dict[int, Any] = {}
        self.is_closed = False
        self.copy_threshold = 0
        self.mail = _Mail(self)
        self._signal = _Signal()
        self._number = waiting.numbered(self._signal)
        self._inbox: collections.deque[tuple[Frames, End | Near | None]] = collections.deque()
        self._rest: collections.deque[Frame] = collections.deque()
        self._parts: Frames = []
        self._monitor: Socket | None = None
        self._mask = 0
        self._target: Socket | None = None
        self._address = ""  # Of what it is bound or connected to.

    # Options.

    def setsockopt(self, option: int, value: Any) -> None:
        self.options[int(option)] = value

    def set_hwm(self, value: int) -> None:
        self.options[int(zmq.SNDHWM)] = value

    @property
    def high_water(self) -> float:
        """How many messages may wait to be sent; 0 stands for any number."""
        return self.options.get(int(zmq.SNDHWM), USUAL_HIGH_WATER) or math.inf

    def get(self, option: int) -> int:
        self._use()
        if option == EVENTS:
            return waiting.POLLIN if self.has_mail() else 0
        assert option == FD
        return self._number

    getsockopt = get

    @property
    def unacknowledged_s(self) -> float:
        return int(self.options.get(int(zmq.TCP_MAXRT), MAX_RT_MS)) / 1000

    @property
    def closed(self) -> bool:
        return self.is_closed

    # Receiving.

    def has_mail(self) -> bool:
        return bool(self._rest or self._inbox)

    def put(self, frames: Frames, end: End | Near | None = None) -> None:
        """Have a message waiting here."""
        if self.is_closed:
            return
        self._inbox.append((frames, end))
        self.announce()

    def announce(self) -> None:
        self._signal.is_set = True
        self._signal.announce()
        self.mail.announce()

    def recv(self, flags: int = 0, copy: bool = True) -> Any:  # noqa: FBT001, FBT002 (as zmq has it)
        self._use()
        if not self._rest:
            if not int.__and__(flags, NOBLOCK) and not self.has_mail():
                waiting.wait_any([self.mail], float("inf"))
            self._begin_message()
        frame = self._rest.popleft()
        return frame.bytes if copy else frame

    def recv_multipart(self, flags: int = 0) -> Frames:
        first = self.recv(flags, copy=False)
        found = [first.bytes]
        while self._rest:
            found.append(self._rest.popleft().bytes)
        return found

    def poll(self, timeout: float | None = None) -> int:
        return len(waiting.wait_any([self.mail], waiting.seconds(timeout)))

    def _begin_message(self) -> None:
        frames, end = self._next()
        last = len(frames) - 1
        self._rest.extend(Frame(data, at < last, end) for at, data in enumerate(frames))

    def _next(self) -> tuple[Frames, End | Near | None]:
        if not self._inbox:
            raise zmq.Again
        return self._inbox.popleft()

    # Sending.

    def send(self, data: bytes, flags: int = 0, copy: bool = True) -> None:  # noqa: FBT001, FBT002 (as zmq has it)
        self._use()
        self._parts.append(bytes(data))
        if int.__and__(flags, SNDMORE):
            return
        frames, self._parts = self._parts, []
        releases = None
        if not copy and len(data) >= self.copy_threshold:
            releases = garbage.gc._push_socket, garbage.gc.store(data)
        self.send_frames(frames, releases)

    def send_multipart(self, frames: Frames, _: int = 0) -> None:
        self._use()
        self.send_frames([bytes(one) for one in frames], None)

    def send_frames(self, frames: Frames, _: "tuple[Any, int] | None") -> None:
        assert self._target is not None
        self._target.put(frames)

    # Connections and monitors.

    def bind(self, address: str) -> None:
        self.context.endpoints[address] = self

    def connect(self, address: str) -> None:
        bound = self.context.endpoints[address]
        if bound._mask:
            bound._monitor = self
        else:
            self._target = bound

    def get_monitor_socket(self, events: int) -> "Socket":
        self._mask = int(events)
        self._monitor = self.context.socket(zmq.PAIR)
        return self._monitor

    def monitor(self, address: str, events: int) -> None:
        self._mask = int(events)
        self.context.endpoints[address] = self

    def disable_monitor(self) -> None:
        self._monitor, self._mask = None, 0

    def tell(self, event: int, number: int = -1) -> None:
        """Report an event to the monitor."""
        if self._monitor is not None and self._mask & int(event):
            told = product_sockets.MONITOR.pack(int(event), number)
            self._monitor.put([told, self._address.encode()])

    def close(self, linger: int | None = None) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.context.sockets.pop(self, None)
            self._close(lingers=bool(linger))

    def _close(self, *, lingers: bool) -> None:
        """Close its connections."""

    def _use(self) -> None:
        """Take in the signals, as any call does."""
        if self.process.is_dead:
            raise KilledError
        assert not self.is_closed
        self._signal.is_set = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def on_left(releases: "tuple[Any, int] | None", process: Process) -> Any:
    """Return what tells the sender that its memory is free again."""
    if releases is None:
        return None
    told, number = releases

    def tell() -> None:
        process.when_running(lambda: told._target and told._target.put([_NUMBER.pack(number)]))

    return tell


KINDS.update({int(kind): Socket for kind in (zmq.PAIR, zmq.PUSH, zmq.PULL)})

"""Stand-ins for what threads wait in: poll(2), epoll(7), zmq_poll(3), and pairs that wake them."""

import collections
import math
import os
import select as kernel
import socket
from collections.abc import Callable, Sequence
from typing import Any

from tests.simulation.faults.threads import Thread, the_loop

POLLIN = 1
FIRST_NUMBER = 1 << 24  # No descriptor of the kernel is as large.
CALL_S = 20e-6  # A call takes time, or a thread that looks again and again would stop it.
_poll = kernel.poll  # The kernel's own.


class Source:
    """Something that may become readable."""

    def __init__(self) -> None:
        self._waiting: list[Thread] = []

    def is_ready(self) -> bool:
        raise NotImplementedError

    def announce(self) -> None:
        """Wake those who wait for it."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for thread in waiting:
                the_loop().wake(thread)

    def enter(self, thread: Thread) -> None:
        self._waiting.append(thread)

    def leave(self, thread: Thread) -> None:
        if thread in self._waiting:
            self._waiting.remove(thread)


def wait_any(sources: Sequence[Source], timeout_s: float) -> list[Source]:
    """Return which of the sources are ready; wait for one, but no longer than that."""
    loop = the_loop()
    end = loop.now + max(CALL_S, timeout_s)
    while True:
        ready = [one for one in sources if one.is_ready()]
        if ready or loop.now >= end:
            return ready
        me = loop.current()
        assert me is not None, "the hub cannot wait"
        for one in sources:
            one.enter(me)
        try:
            loop.park(end)
        finally:
            for one in sources:
                one.leave(me)


_numbers: dict[int, Source] = {}


def numbered(source: Source) -> int:
    """Return a number that stands for the source where a descriptor is expected."""
    number = FIRST_NUMBER + the_loop().next_number()
    _numbers[number] = source
    return number


def forget_all() -> None:
    _numbers.clear()


class KernelSource(Source):
    """A descriptor of the real kernel, inotify's. The loop looks at those that are waited for."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._poll = _poll()
        self._poll.register(number, kernel.POLLIN)

    def is_ready(self) -> bool:
        return bool(self._poll.poll(0))

    def enter(self, thread: Thread) -> None:
        super().enter(thread)
        _looked_at[self] = None

    def leave(self, thread: Thread) -> None:
        super().leave(thread)
        if not self._waiting:
            _looked_at.pop(self, None)


_looked_at: dict[KernelSource, None] = {}
_stirred = [False]


def stir() -> None:
    """Note that the kernel may have something to tell, as a file may have changed."""
    _stirred[0] = True


def look() -> None:
    """Wake those who wait for a descriptor of the kernel that has become readable."""
    if not _stirred[0]:
        return
    _stirred[0] = False
    for source in list(_looked_at):
        if source.is_ready():
            _looked_at.pop(source, None)
            source.announce()


def source_of(what: Any) -> Source:
    """Return the source that a socket, an object with a descriptor, or a descriptor is."""
    mail = getattr(what, "mail", None)
    if mail is not None:
        assert isinstance(mail, Source)
        return mail
    number = what if isinstance(what, int) else what.fileno()
    known = _numbers.get(number)
    return KernelSource(number) if known is None else known


def seconds(timeout_ms: float | None) -> float:
    return math.inf if timeout_ms is None or timeout_ms < 0 else timeout_ms / 1000


class Poll:
    """Stands in for select.poll and zmq.Poller."""

    def __init__(self) -> None:
        self._sources: dict[Any, Source] = {}

    def register(self, what: Any, _: int = POLLIN) -> None:
        key = what if isinstance(what, int) or hasattr(what, "mail") else what.fileno()
        self._sources[key] = source_of(what)

    def unregister(self, what: Any) -> None:
        del self._sources[what]

    def poll(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        sources = self._sources
        ready = set(map(id, wait_any(list(sources.values()), seconds(timeout))))
        return [(key, POLLIN) for key, source in sources.items() if id(source) in ready]


def zmq_poll(watched: Sequence[tuple[Any, int]], timeout: float = -1) -> list[tuple[Any, int]]:
    """Stand in for zmq.zmq_poll."""
    poll = Poll()
    for what, _ in watched:
        poll.register(what)
    return poll.poll(timeout)


def zmq_select(
    readers: Sequence[Any], _: Sequence[Any], __: Sequence[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """Stand in for zmq.select, whose time-out is in seconds."""
    found = zmq_poll([(one, POLLIN) for one in readers], -1 if timeout is None else 1000 * timeout)
    return [what for what, _ in found], [], []


class Key:
    """Stands in for selectors.SelectorKey."""

    def __init__(self, number: int, data: object) -> None:
        self.fd = number
        self.data = data


class Selector:
    """Stands in for selectors.DefaultSelector."""

    def __init__(self) -> None:
        self._keys: dict[int, tuple[Key, Source]] = {}

    def register(self, number: int, _: int, data: object = None) -> None:
        self._keys[number] = Key(number, data), source_of(number)

    def unregister(self, number: int) -> None:
        del self._keys[number]

    def select(self, timeout: float | None = None) -> list[tuple[Key, int]]:
        sources = [source for _, source in self._keys.values()]
        ready = set(map(id, wait_any(sources, math.inf if timeout is None else timeout)))
        return [(key, POLLIN) for key, source in self._keys.values() if id(source) in ready]

    def close(self) -> None:
        self._keys.clear()


class _End(Source):
    """One end of a pair of sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.peer: _End | None = None
        self._bytes: collections.deque[bytes] = collections.deque()
        self._number = numbered(self)

    def is_ready(self) -> bool:
        return bool(self._bytes)

    def fileno(self) -> int:
        return self._number

    def settimeout(self, _: float) -> None:
        """None waits anyway."""

    def send(self, data: bytes) -> int:
        assert self.peer is not None
        self.peer._bytes.append(data)
        self.peer.announce()
        return len(data)

    def recv(self, _: int) -> bytes:
        if not self._bytes:
            raise BlockingIOError
        return self._bytes.popleft()

    def close(self) -> None:
        _numbers.pop(self._number, None)


def pair() -> tuple[Any, Any]:
    """Stand in for socket.socketpair, which only wakes threads here."""
    one, other = _End(), _End()
    one.peer, other.peer = other, one
    return one, other


REPLACED: list[tuple[Any, str, Callable[..., Any]]] = [
    (kernel, "poll", Poll),
    (socket, "socketpair", pair),
]
assert os.name == "posix"

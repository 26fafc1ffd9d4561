"""TCP between hosts: what arrives when, what is lost with a connection, what a cut holds up.

A connection loses, repeats and reorders nothing while it lives, but what is under way goes with it.
Whose it is and what is said over it is the sockets' matter.
"""

import collections
import random
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from shoal.protocol import addresses

from tests.simulation.faults.threads import Loop, Process
from tests.simulation.network import Place, receive, send

IDLE_S = 25.0  # Its keepalive: 10 s, then three probes in 5 s each.
AGAIN_S = 0.2  # How often TCP tries again here.
MOST_HEARD = 200  # Messages that somebody who listens could say again.
MOST_PAUSE_S = 1.5  # Until it tries again after a cut (bound_pauses).

Frames = list[bytes]


class Owner(Protocol):
    """The socket at one end."""

    @property
    def process(self) -> Process: ...
    @property
    def unacknowledged_s(self) -> float:
        """How long what was sent may stay unacknowledged (TCP_MAXRT)."""

    def came(self, end: "End | Near", frames: Frames) -> None: ...
    def lost(self, end: "End") -> None: ...


class Server(Owner, Protocol):
    """A socket that is bound."""

    context: Any
    options: dict[int, Any]

    def accepted(self, end: "End", /) -> None: ...
    def shaken(self, end: "End", /) -> None:
        """Hear that the handshake is over."""


class Letter:
    """A message under way."""

    def __init__(self, frames: Frames, on_left: Callable[[], None] | None) -> None:
        self.frames = frames
        self.size_bytes = sum(map(len, frames)) + 9 * len(frames) + 60
        self.on_left = on_left
        self.is_here = True  # Not handed to the kernel yet.

    def leave(self) -> None:
        """Tell, once, that it has left."""
        self.is_here = False
        on_left, self.on_left = self.on_left, None
        if on_left is not None:
            on_left()


class End:
    """One end of a connection: it sends to its peer."""

    peer: "End"

    def __init__(self, net: "Net", owner: Owner, host: str, number: int) -> None:
        self.net = net
        self.owner = owner
        self.host = host
        self.number = number
        self.is_open = True
        self.key = b""  # The public key of whoever is at the other end, if there are keys.
        self.user = ""  # As whom ZAP has let in whoever is at the other end.
        self.out: collections.OrderedDict[Letter, None] = collections.OrderedDict()
        self._held: collections.deque[Letter] = collections.deque()
        self.pace: int | None = None  # In bytes/s; None: any.
        self.usual_s = 0.0  # The round trip, smoothed.
        self.arrived_bytes = 0
        self._begins_at = self._paid_at = 0.0  # The next message, and when the last is paid for.
        self._last_at = 0.0
        self._unacknowledged = False

    def send(self, frames: Frames, on_left: Callable[[], None] | None = None) -> None:
        """Put a message on its way; `on_left` is called when libzmq is done with it."""
        net, letter = self.net, Letter(frames, on_left)
        if not self.is_open:
            letter.leave()
            return
        self.out[letter] = None
        begins_at = self._spaced_at(letter.size_bytes)
        if begins_at > net.loop.now:
            net.loop.at(begins_at, self._begin, letter)
        else:
            self._begin(letter)

    def _spaced_at(self, size_bytes: int) -> float:
        """Return when the kernel lets the next message go, at the pace of this connection."""
        now = self.net.loop.now
        if self.pace is not None:
            self._paid_at = max(now, self._paid_at) + size_bytes / self.pace
            quickest_s = size_bytes / self.net.places[self.host].up.rate_bytes_per_s
            self._begins_at = max(self._begins_at, self._paid_at - quickest_s)
        return self._begins_at

    def _begin(self, letter: Letter) -> None:
        if letter not in self.out:
            return
        net = self.net
        here, there = net.places[self.host], net.places[self.peer.host]
        left_at, due = send(here, there, letter.size_bytes, net.loop.now)
        net.loop.at(left_at, self._left, letter)
        net.loop.at(due + net.jitter_s(), self._arrives, letter)

    def _left(self, letter: Letter) -> None:
        if self.net.is_cut(self.host, self.peer.host) and len(self.out) > 1:
            self.net.loop.at(self.net.loop.now + AGAIN_S, self._left, letter)
        else:
            letter.leave()

    def _arrives(self, letter: Letter) -> None:
        if letter not in self.out:
            return
        net = self.net
        if self._held or net.is_cut(self.host, self.peer.host):
            self._held.append(letter)
            self.check_at(net.loop.now + self.owner.unacknowledged_s)
            return
        there = net.places[self.peer.host]
        whole_at = receive(there, letter.size_bytes, net.loop.now)
        queued_s = whole_at - net.loop.now - letter.size_bytes / there.down.rate_bytes_per_s
        self._measure(2 * net.latency_s(self, self.peer) + max(0.0, queued_s))
        self._last_at = max(whole_at, self._last_at)
        net.loop.at(self._last_at, self._deliver, letter)

    def _deliver(self, letter: Letter) -> None:
        if letter not in self.out:
            return
        net, peer = self.net, self.peer
        letter.leave()
        del self.out[letter]
        self.arrived_bytes += letter.size_bytes
        if net.is_cut(peer.host, self.host):
            self._unacknowledged = True
            self.check_at(net.loop.now + self.owner.unacknowledged_s)
        if peer.is_open:
            net.heard.append((peer.host, letter.frames))
            peer.owner.process.when_running(lambda: peer.owner.came(peer, letter.frames))
        else:
            self.net.loop.at(net.loop.now + net.latency_s(self, peer), self.lose)

    def _measure(self, round_trip_s: float) -> None:
        """Smooth it as TCP does (RFC 6298); what waits in the other's link counts, as it must."""
        before_s = self.usual_s or round_trip_s
        self.usual_s = before_s + (round_trip_s - before_s) / 8

    def mend(self) -> None:
        """Go on after a cut: what was held up arrives, in order."""
        self._unacknowledged = False
        held, self._held = self._held, collections.deque()
        at = self.net.loop.now + self.net.rng.uniform(0.0, MOST_PAUSE_S)
        for letter in held:
            self.net.loop.at(at, self._arrives, letter)
        if not self.peer.is_open:
            self.net.loop.at(at, self.lose)

    def _check(self) -> None:
        """Give up if nothing has been acknowledged for too long."""
        net = self.net
        since = net.cut_since(self, self.peer)
        if since is None or not self.is_open:
            return
        waited_s = net.loop.now - since
        is_waiting = bool(self.out) or self._unacknowledged
        if waited_s >= IDLE_S or (is_waiting and waited_s >= self.owner.unacknowledged_s):
            self.lose()

    def check_at(self, *times: float) -> None:
        for at in times:
            self.net.loop.at(at, self._check)

    def lose(self) -> None:
        """See the connection end: nothing that was under way arrives any more."""
        if not self.is_open:
            return
        self._shut()
        self.owner.process.when_running(lambda: self.owner.lost(self))
        self._tell_peer()

    def close(self, *, lingers: bool = False) -> None:
        """Close it: what the kernel has is still sent."""
        if not self.is_open:
            return
        for letter in [one for one in self.out if one.is_here and not lingers]:
            self._forget(letter)
        self.is_open = False
        self._tell_peer()

    def break_off(self) -> None:
        """Lose it at both ends at once, as when something in between forgets it."""
        broken = self.net.broken
        broken[self.host] = broken[self.peer.host] = self.net.loop.now
        self.lose()
        self.peer.lose()

    def _tell_peer(self) -> None:
        net, peer = self.net, self.peer
        if peer.is_open and not net.is_cut(self.host, peer.host):
            at = max(net.loop.now, self._last_at) + net.latency_s(self, peer)
            net.loop.at(at + net.jitter_s(), peer.lose)
        if not peer.is_open:
            net.ends.pop(self, None)
            net.ends.pop(peer, None)

    def _shut(self) -> None:
        self.is_open = False
        for letter in list(self.out):
            self._forget(letter)
        self._held.clear()

    def _forget(self, letter: Letter) -> None:
        del self.out[letter]
        letter.leave()


class Net:
    """All hosts' links, and what is cut between them."""

    def __init__(self, loop: Loop, rng: random.Random, most_jitter_s: float) -> None:
        self.loop = loop
        self.rng = rng
        self.places: dict[str, Place] = {}
        self.bound: dict[str, Server] = {}
        self.hosts: dict[str, str] = {}  # By address.
        self.ends: dict[End, None] = {}
        self.broken: dict[str, float] = {}  # When a host last lost a connection for no reason.
        self.heard: collections.deque[tuple[str, Frames]] = collections.deque(maxlen=MOST_HEARD)
        self._most_jitter_s = most_jitter_s
        self._cut: dict[tuple[str, str], float] = {}
        self._numbers = 0
        self._far: dict[int, End] = {}  # The servers' ends, by a connection's number.
        self._connected: dict[int, str] = {}  # Who connected, by a connection's number, …
        self.keys: dict[int, bytes] = {}  # … and with which public key, if any.

    def jitter_s(self) -> float:
        return self.rng.random() * self._most_jitter_s

    def latency_s(self, one: End, other: End) -> float:
        return self.places[one.host].latency_s + self.places[other.host].latency_s

    def is_cut(self, source: str, target: str) -> bool:
        return (source, target) in self._cut

    def cut_since(self, one: End, other: End) -> float | None:
        times = [self._cut.get((one.host, other.host)), self._cut.get((other.host, one.host))]
        return min((time for time in times if time is not None), default=None)

    def cut(self, ways: Iterable[tuple[str, str]]) -> None:
        """Let nothing through from one host to another."""
        for way in ways:
            self._cut.setdefault(way, self.loop.now)
        now = self.loop.now
        for end in self.ends:
            if self.cut_since(end, end.peer) is not None:
                end.check_at(now + end.owner.unacknowledged_s, now + IDLE_S)

    def mend(self, ways: Iterable[tuple[str, str]]) -> None:
        """Let everything through again."""
        mended = [way for way in ways if self._cut.pop(way, None) is not None]
        for end in list(self.ends):
            if (end.host, end.peer.host) in mended or (end.peer.host, end.host) in mended:
                end.mend()

    def mend_all(self) -> None:
        self.mend(list(self._cut))

    def open(self, client: Owner, server: Server, address: str) -> End:
        """Return the client's end of a new connection."""
        self._numbers += 1
        near = End(self, client, client.process.host, self._numbers)
        far = End(self, server, self.hosts[address], self._numbers)
        near.peer, far.peer = far, near
        self.ends[near] = self.ends[far] = None
        self._connected[self._numbers], self._far[self._numbers] = near.host, far
        server.accepted(far)
        return near

    def round_trip_s(self, here: str, there: str) -> float:
        """Return how long it takes from one host to another and back, without a queue."""
        near = self.places[here]
        return 2 * (near.latency_s + self.places.get(there, near).latency_s)

    def far_end(self, number: int) -> End | None:
        """Return the server's end of a connection that is open."""
        end = self._far.get(number)
        return end if end is not None and end.is_open else None

    def host_of_client(self, number: int) -> str:
        """Return the name of the host that made a connection; empty if none did."""
        return self._connected.get(number, "")

    def address_of_client(self, number: int) -> str:
        """Return the number of the host that made a connection; empty if none did."""
        name = self.host_of_client(number)
        found = [address for address, host in self.hosts.items() if host == name]
        return addresses.split(found[0])[0] if found else ""


class Near:
    """One end of a connection within a process (inproc): nothing takes any time."""

    peer: "Near"

    def __init__(self, owner: Owner, number: int) -> None:
        self.owner = owner
        self.number = number
        self.out: dict[Letter, None] = {}

    def send(self, frames: Frames, on_left: Callable[[], None] | None = None) -> None:
        if on_left is not None:
            on_left()
        self.peer.owner.came(self.peer, frames)

    def close(self, *, lingers: bool = False) -> None:
        """Nothing is to be done."""

"""One try to connect: SYN, then ZMTP's handshake, with CURVE and ZAP as the two sockets are set.

Nothing is encrypted: keys are compared. What libzmq reports when, and after what it does not try
again, was seen with libzmq 4.3.5 (test_handshakes).
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import zmq
from shoal.config.keys import public_of
from shoal.wire import handshake

from tests.simulation.faults.connections import AGAIN_S, End, Frames, Near, Net, Owner
from tests.simulation.faults.threads import Process, the_loop

CONNECT_S = 3.0
USUAL_HANDSHAKE_MS = 30_000
NULL, CURVE = "NULL", "CURVE"
ZAP_PLACE = "inproc://zeromq.zap.01"
ALLOWED = b"200"
NO_DETAIL = int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
PROTOCOL = int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
AUTH = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
FINAL = {PROTOCOL, AUTH}  # A client to which one of these happens never tries again.
Options = Mapping[int, Any]


class Client(Owner, Protocol):
    """A socket that connects."""

    is_closed: bool
    options: dict[int, Any]

    def reached(self) -> None: ...
    def connected(self, end: End) -> None: ...
    def failed(self, event: int = 0) -> None:
        """Hear which event ended the handshake; 0: nobody was reached."""


class Handler(Owner, Protocol):
    """The socket that libzmq asks who may come in."""

    def joined(self, near: Near) -> None: ...
    def parted(self, near: Near) -> None: ...


class Attempt:
    """One try. Owns the client's end until the handshake is over."""

    def __init__(self, net: Net, client: Client, address: str) -> None:
        self._net = net
        self._client = client
        self._address = address
        self._here = client.process.host
        self._there = net.hosts.get(address, "")
        self._until = net.loop.now + CONNECT_S
        self._near: End | None = None
        self._event = NO_DETAIL  # What the client hears if the connection ends now.
        self._user = ""
        self._is_over = False

    def begin(self) -> None:
        self._later(self._round_trip_s(), self._answered)

    def give_up(self) -> None:
        """End it, as the socket is closed."""
        self._is_over = True
        if self._near is not None:
            self._near.close()

    # As the owner of the client's end.

    @property
    def process(self) -> Process:
        return self._client.process

    @property
    def unacknowledged_s(self) -> float:
        return self._client.unacknowledged_s

    def came(self, _: "End | Near", __: Frames) -> None:
        raise AssertionError("nobody says anything before the handshake is over")

    def lost(self, _: End) -> None:
        self._fail(self._event)

    # Step by step.

    def _answered(self) -> None:
        """The SYN has been answered, or would have been by now."""
        client, net = self._client, self._net
        if self._is_off():
            return
        if self._is_cut():
            if net.loop.now < self._until:
                self._later(AGAIN_S, self._answered)
            else:
                self._fail(0)
        elif self._address not in net.bound:
            self._fail(0)
        else:
            self._tell(client.reached)
            net.loop.at(net.loop.now + _handshake_s(client.options), self._expire)
            self._later(self._round_trip_s(), self._greeted)

    def _greeted(self) -> None:
        """Libzmq has taken the connection in, and both ends know the other's mechanism."""
        if self._is_off() or self._is_held_up(self._greeted):
            return
        server = self._net.bound.get(self._address)
        if server is None:
            self._fail(NO_DETAIL)
            return
        self._near = self._net.open(self, server, self._address)
        ours, theirs = mechanism(self._client.options), mechanism(server.options)
        if ours != theirs:  # Whichever end sees it first hangs up; the other is told nothing.
            self._refuse(PROTOCOL if self._net.rng.random() < 0.5 else NO_DETAIL)
            return
        self._net.loop.at(self._net.loop.now + _handshake_s(server.options), self._expire)
        round_trips = 2 if ours == CURVE else 1
        self._later(round_trips * self._round_trip_s(), self._introduced)

    def _introduced(self) -> None:
        """The server has seen the client's key, if there are keys, and asks whether it may in."""
        if self._is_off() or self._is_held_up(self._introduced):
            return
        near, options = self._near, self._client.options
        assert near is not None
        server = self._net.bound.get(self._address)
        if server is not near.peer.owner:  # Closed, or another one: the end tells of that.
            return
        if mechanism(options) == CURVE:
            if not _fit(options, server.options):
                self._refuse(NO_DETAIL)
                return
            near.peer.key = _option(options, zmq.CURVE_PUBLICKEY)
            self._net.keys[near.number] = near.peer.key
        self._ask(server)

    def _ask(self, server: Any) -> None:
        handler, options = server.context.endpoints.get(ZAP_PLACE), server.options
        domain, name = _option(options, zmq.ZAP_DOMAIN), mechanism(options)
        is_asked = name == CURVE or domain != b""
        if not is_asked or (handler is None and not options.get(int(zmq.ZAP_ENFORCE_DOMAIN))):
            self._let_in("")
        elif handler is None:
            self._refuse(NO_DETAIL)
        else:
            assert self._near is not None
            host = self._net.address_of_client(self._near.number).encode()
            keys = [self._near.peer.key] if name == CURVE else []
            asked = [b"", b"1.0", b"1", domain, host, b"", name.encode(), *keys]
            _Question(server.process, handler, self._decided).ask(asked)

    def _decided(self, status: bytes, user: str) -> None:
        if self._is_over:
            return
        if status == ALLOWED:
            self._let_in(user)
        else:
            self._refuse(AUTH)

    def _let_in(self, user: str) -> None:
        self._user = user
        self._ready()

    def _ready(self) -> None:
        near = self._near
        assert near is not None
        if self._is_off() or self._is_held_up(self._ready) or not near.peer.is_open:
            return
        self._is_over = True
        near.owner = self._client
        near.peer.user = self._user
        server: Any = near.peer.owner
        server.shaken(near.peer)
        self._tell(lambda: self._client.connected(near))

    # How it ends.

    def _refuse(self, event: int) -> None:
        """Have the server hang up; the client sees that, and hears of this event."""
        assert self._near is not None
        self._event = event
        self._near.peer.lose()

    def _expire(self) -> None:
        if not self._is_over:
            self._fail(NO_DETAIL)

    def _fail(self, event: int) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._near is not None:
            self._near.lose()
        self._tell(lambda: self._client.failed(event))

    def _is_off(self) -> bool:
        return self._is_over or self._client.is_closed or self._client.process.is_dead

    def _is_cut(self) -> bool:
        net = self._net
        return net.is_cut(self._here, self._there) or net.is_cut(self._there, self._here)

    def _is_held_up(self, act: Callable[[], None]) -> bool:
        """Say whether it cannot go on now; then that is done a little later."""
        server = self._net.bound.get(self._address)
        is_stopped = server is not None and server.process.is_paused
        if self._is_cut() or is_stopped or self._client.process.is_paused:
            self._later(AGAIN_S, act)
            return True
        return False

    def _round_trip_s(self) -> float:
        return self._net.round_trip_s(self._here, self._there)

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._net.loop.at(self._net.loop.now + seconds + self._net.jitter_s(), act)

    def _tell(self, what: Callable[[], None]) -> None:
        self._client.process.when_running(lambda: None if self._client.is_closed else what())


class _Question:
    """A question to the ZAP socket of the server's context, over a pair of pipes of its own."""

    def __init__(
        self, process: Process, handler: Handler, then: Callable[[bytes, str], None]
    ) -> None:
        self.process = process
        self._then = then
        number = the_loop().next_number()
        self._near, there = Near(self, number), Near(handler, number)
        self._near.peer, there.peer = there, self._near
        self._handler = handler
        handler.joined(there)

    unacknowledged_s = 0.0

    def ask(self, frames: Frames) -> None:
        self._near.send(frames)

    def came(self, _: "End | Near", frames: Frames) -> None:
        self._handler.parted(self._near.peer)
        status, user = frames[3], frames[5]
        self._then(status, user.decode())

    def lost(self, _: End) -> None:
        raise AssertionError("pipes are not lost")


def mechanism(options: Options) -> str:
    """Return which mechanism a socket is set to."""
    is_curve = options.get(int(zmq.CURVE_SERVER)) or options.get(int(zmq.CURVE_SERVERKEY))
    return CURVE if is_curve else NULL


def mechanism_at(address: str) -> str | None:
    """Stand in for what the product reads from a server's greeting, over a plain connection."""
    net, process = _net(), the_loop().process()
    assert process is not None
    here, there = process.host, net.hosts.get(address, "")
    server = net.bound.get(address)
    if net.is_cut(here, there) or net.is_cut(there, here) or (server and server.process.is_paused):
        the_loop().pass_time(handshake.LIMIT_S)
        return None
    the_loop().pass_time((1 if server is None else 2) * net.round_trip_s(here, there))
    return None if server is None else mechanism(server.options)


_nets: list[Net] = []


def begin(net: Net) -> None:
    _nets[:] = [net]


def _net() -> Net:
    return _nets[0]


def _handshake_s(options: Options) -> float:
    milliseconds: int = options.get(int(zmq.HANDSHAKE_IVL), USUAL_HANDSHAKE_MS)
    return milliseconds / 1000


def _fit(client: Options, server: Options) -> bool:
    """Say whether the client means this server, and has the secret of the key that it shows."""
    own = _option(client, zmq.CURVE_PUBLICKEY)
    meant = _option(client, zmq.CURVE_SERVERKEY)
    return (
        _public_of(_option(client, zmq.CURVE_SECRETKEY)) == own
        and _public_of(_option(server, zmq.CURVE_SECRETKEY)) == meant
    )


def _option(options: Options, name: int) -> bytes:
    found: bytes = options.get(int(name), b"")
    return found


_publics: dict[bytes, bytes] = {}


def _public_of(secret: bytes) -> bytes:
    if secret not in _publics:
        _publics[secret] = public_of(secret)
    return _publics[secret]

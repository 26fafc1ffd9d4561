"""Who is let in, and what both ends hear of it: the stand-ins and libzmq itself, by one table."""

import random
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import zmq
from shoal.protocol.keys import KeyPair
from shoal.wire import sockets as product_sockets

from tests.simulation.faults import disk, sockets, threads
from tests.simulation.faults.attempts import ZAP_PLACE
from tests.simulation.faults.connections import Net
from tests.simulation.faults.patterns import Router
from tests.simulation.faults.threads import Loop, Process
from tests.simulation.network import place
from tests.unit.wire.places import LIMIT_S, key_pair

SERVER, CLIENT, OTHER = key_pair(), key_pair(), key_pair()
ADDRESS = "tcp://10.0.0.1:5000"
PATIENCE_MS = 300  # HANDSHAKE_IVL here.
AGAIN_MS = 40
QUIET_S = 0.15  # In which nothing more may happen than what must.
LONG_S = 2.0
AUTH, PROTOCOL = "failed: auth", "failed: protocol"
NO_DETAIL, UP, ENDED = "failed: no detail", "up", "ended"
WORDS = {
    int(zmq.EVENT_HANDSHAKE_SUCCEEDED): UP,
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): AUTH,
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): PROTOCOL,
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): NO_DETAIL,
    int(zmq.EVENT_DISCONNECTED): ENDED,
}


class Case(NamedTuple):
    """How the two sockets are set, who answers what, and what must come of it."""

    server: KeyPair | None = None
    client: tuple[KeyPair, bytes] | None = None  # Its own keys, and the server's that it means.
    answer: bytes | None = b"200"  # Of the ZAP socket; empty: it says nothing; None: there is none.
    domain: bytes = b"shoal"
    enforces: bool = True
    told: tuple[str, ...] = (UP,)  # The client's events, of its first try.
    or_told: tuple[str, ...] = ()  # … or these: two ends may see the same thing first.
    tries_again: bool = False
    user: str | None = None  # As whom the message comes in; None: it does not, …
    is_nobody: bool = False  # … or it does, and nobody has said whose it is.


AS_MEANT = (CLIENT, SERVER.public)
CASES = {
    "a known key": Case(SERVER, AS_MEANT, user="someone"),
    "an unknown key": Case(SERVER, AS_MEANT, b"400", told=(AUTH, ENDED)),
    "another server": Case(
        SERVER, (CLIENT, OTHER.public), told=(NO_DETAIL, ENDED), tries_again=True
    ),
    "the key without its secret": Case(
        SERVER,
        (KeyPair(CLIENT.public, OTHER.secret), SERVER.public),
        told=(NO_DETAIL, ENDED),
        tries_again=True,
    ),
    "nobody answers": Case(SERVER, AS_MEANT, b"", told=(NO_DETAIL, ENDED), tries_again=True),
    "nobody is there to answer": Case(
        SERVER, AS_MEANT, None, told=(NO_DETAIL, ENDED), tries_again=True
    ),
    "nobody is asked": Case(SERVER, AS_MEANT, None, b"", enforces=False, is_nobody=True),
    "a client without keys": Case(SERVER, told=(PROTOCOL, ENDED), or_told=(NO_DETAIL, ENDED)),
    "a server without keys": Case(
        None, AS_MEANT, told=(PROTOCOL, ENDED), or_told=(NO_DETAIL, ENDED)
    ),
    "no keys": Case(user="someone"),
    "no keys, refused": Case(answer=b"400", told=(AUTH, ENDED)),
    "no keys, nobody answers": Case(answer=b"", told=(NO_DETAIL, ENDED), tries_again=True),
    "no keys, not asked": Case(domain=b"", enforces=False, is_nobody=True),
    "no keys, nobody to ask": Case(answer=None, enforces=False, is_nobody=True),
}


class Seen(NamedTuple):
    """What came of it."""

    events: list[str]
    users: list[str | None]


def _server(context: Any, case: Case) -> tuple[Any, Any]:
    """Return a ROUTER that is not bound yet, and the socket that says who may come in."""
    door = None if case.answer is None else context.socket(zmq.ROUTER)
    if door is not None:
        door.bind(ZAP_PLACE)
    router = context.socket(zmq.ROUTER)
    if case.server is not None:
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.CURVE_SECRETKEY, case.server.secret)
    if case.domain:
        router.setsockopt(zmq.ZAP_DOMAIN, case.domain)
    if case.enforces:
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)
    router.setsockopt(zmq.HANDSHAKE_IVL, PATIENCE_MS)
    router.setsockopt(zmq.LINGER, 0)
    return router, door


def _client(context: Any, case: Case, address: str, *, stops: bool) -> tuple[Any, Any]:
    dealer = context.socket(zmq.DEALER)
    if case.client is not None:
        own, server = case.client
        dealer.setsockopt(zmq.CURVE_SERVERKEY, server)
        dealer.setsockopt(zmq.CURVE_PUBLICKEY, own.public)
        dealer.setsockopt(zmq.CURVE_SECRETKEY, own.secret)
    if stops:
        dealer.setsockopt(zmq.RECONNECT_STOP, zmq.RECONNECT_STOP_HANDSHAKE_FAILED)
    dealer.setsockopt(zmq.RECONNECT_IVL, AGAIN_MS)
    dealer.setsockopt(zmq.LINGER, 0)
    mask = 0
    for event in WORDS:
        mask |= event
    monitor = dealer.get_monitor_socket(mask)
    dealer.connect(address)
    dealer.send_multipart([b"tag", b"", b"hello"], zmq.NOBLOCK)
    return dealer, monitor


def _answer(door: Any, answer: bytes) -> None:
    asked = door.recv_multipart()
    if answer:
        user = b"someone" if answer == b"200" else b""
        door.send_multipart([*asked[:4], answer, b"", user, b""])


def _user_of(router: Any) -> str | None:
    """Return as whom the next message came."""
    frame = first = router.recv(copy=False)
    while frame.more:
        frame = router.recv(copy=False)
    try:
        return str(first.get("User-Id"))
    except zmq.ZMQError:
        return None


def _events(monitor: Any, seen: Seen) -> None:
    while monitor.poll(0):
        event, _ = product_sockets.MONITOR.unpack(monitor.recv_multipart()[0])
        seen.events.append(WORDS[event])


def _of_libzmq(case: Case, *, stops: bool) -> Seen:
    near, far, seen = zmq.Context(), zmq.Context(), Seen([], [])
    router, door = _server(near, case)
    port = router.bind_to_random_port("tcp://127.0.0.1")
    dealer, monitor = _client(far, case, f"tcp://127.0.0.1:{port}", stops=stops)
    polled = [(each, zmq.POLLIN) for each in (router, door) if each is not None]
    until = time.monotonic() + LIMIT_S
    while time.monotonic() < until:
        if _is_all(case, seen, stops=stops):
            until = min(until, time.monotonic() + QUIET_S)
        for ready, _ in zmq.zmq_poll(polled, 10):
            if ready is door:
                assert case.answer is not None
                _answer(door, case.answer)
            else:
                seen.users.append(_user_of(router))
        _events(monitor, seen)
    dealer.disable_monitor()
    for each in (monitor, dealer, router, door):
        if each is not None:
            each.close(linger=0)
    near.term()
    far.term()
    return seen


def _two_hosts() -> tuple[Loop, Net]:
    loop = Loop(random.Random(1))
    threads.begin(loop)
    net = Net(loop, random.Random(1), 0.0)
    sockets.begin(net)
    disk.begin(lambda _: None)
    net.hosts[ADDRESS] = "server"
    net.places = {host: place(1e9, 1e9, 0.001) for host in ("server", "client")}
    return loop, net


def _of_stand_ins(case: Case, *, stops: bool) -> Seen:
    (loop, net), seen = _two_hosts(), Seen([], [])

    def serve() -> None:
        router, door = _server(sockets.Context(), case)
        router.bind(ADDRESS)
        while door is not None:
            door.poll()
            assert case.answer is not None
            _answer(door, case.answer)

    def take() -> None:
        router = net.bound[ADDRESS]
        assert isinstance(router, Router)
        while True:
            router.poll()
            seen.users.append(_user_of(router))

    def ask() -> None:
        _, monitor = _client(sockets.Context(), case, ADDRESS, stops=stops)
        while True:
            loop.pass_time(0.01)
            _events(monitor, seen)

    server, client = Process(loop, "server", 1), Process(loop, "client", 2)
    server.start(serve)
    loop.run(0.001)
    server.start(take)
    client.start(ask)
    loop.run(LONG_S)
    assert loop.crashed == []
    return seen


def _expected(case: Case) -> list[str | None]:
    return [None] if case.is_nobody else [] if case.user is None else [case.user]


def _is_all(case: Case, seen: Seen, *, stops: bool) -> bool:
    """Say whether all that must happen has happened."""
    tries = 2 if case.tries_again and not stops else 1
    return len(seen.events) >= tries * len(case.told) and seen.users == _expected(case)


def _cases() -> Iterator[Any]:
    for name, case in CASES.items():
        for stops in (False, True):
            how = "once" if stops else "again and again"
            yield pytest.param(case, stops, id=f"{name}, {how}".replace(" ", "-"))


@pytest.mark.parametrize("see", [_of_libzmq, _of_stand_ins])
@pytest.mark.parametrize(("case", "stops"), list(_cases()))
def test_who_is_let_in_and_what_the_client_hears(see: Any, case: Case, *, stops: bool) -> None:
    seen = see(case, stops=stops)
    told = tuple(seen.events[: len(case.told)])
    assert told in {case.told, case.or_told or case.told}
    more = seen.events[len(case.told) :]
    may_try_again = case.tries_again or (NO_DETAIL in told and bool(case.or_told))
    if see is _of_libzmq and AUTH in told:  # It may hear of the end first, and tries again then.
        assert more == list(told) * (len(more) // len(told))
    elif stops or not may_try_again:
        assert more == []
    elif case.tries_again:
        assert more[: len(case.told)] in ([], list(case.told)[: len(more)])
        assert more
    assert seen.users == _expected(case)

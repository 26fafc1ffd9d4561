"""Handshakes of those who may not come in: without a key, with wrong keys, with PLAIN."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import zmq
from shoal.config.cluster import load
from shoal.config.key_folder import new_pair
from shoal.config.keys import own_pair
from shoal.protocol import messages
from shoal.protocol.keys import KeyPair
from shoal.protocol.messages import Status
from shoal.protocol.permits import Role, Who
from shoal.wire.connections import Bounds
from shoal.wire.curve import Gate
from shoal.wire.listener import Listener

from tests.attacks.scene import NODE, Scene
from tests.attacks.zmtp import Place

AT_ONCE = 20
KNOWN = "known key"
PATIENCE_S = 8.0  # Longer than a handshake may take.
_OVER = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
)
_EVENTS = int(zmq.EVENT_HANDSHAKE_SUCCEEDED | _OVER)

Socket = zmq.Socket[bytes]
Context = zmq.Context[Socket]


class Outcome(NamedTuple):
    """How many handshakes of a kind were tried, came to an end, and let somebody in."""

    target: str
    kind: str
    tried: int
    refused: int
    let_in: int

    def __str__(self) -> str:
        told = f"{self.tried} tried, {self.refused} refused at once, {self.let_in} let in"
        return f"{self.target}, {self.kind}: {told}"


def _null(_: Socket, server: bytes) -> None:
    pass


def _plain(sock: Socket, server: bytes) -> None:
    sock.setsockopt(zmq.PLAIN_USERNAME, b"n1")
    sock.setsockopt(zmq.PLAIN_PASSWORD, b"n1")


def _with_keys(sock: Socket, server: bytes, own: KeyPair) -> None:
    sock.setsockopt(zmq.CURVE_SERVERKEY, server)
    sock.setsockopt(zmq.CURVE_PUBLICKEY, own.public)
    sock.setsockopt(zmq.CURVE_SECRETKEY, own.secret)


def _unknown(sock: Socket, server: bytes) -> None:
    _with_keys(sock, server, new_pair())


def _wrong_server(sock: Socket, server: bytes) -> None:
    _with_keys(sock, new_pair().public, new_pair())


KINDS: dict[str, Callable[..., None]] = {
    "no key": _null,
    "PLAIN": _plain,
    "unknown key": _unknown,
    "wrong server key": _wrong_server,
}


class Caller:
    """One connection that is tried once, and asks for something at once."""

    def __init__(self, context: Context, place: Place, prepare: Callable[[Socket], None]) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RECONNECT_IVL, -1)
        prepare(self.socket)
        self.monitor = self.socket.get_monitor_socket(_EVENTS)
        self.socket.connect(f"tcp://{place[0]}:{place[1]}")
        with contextlib.suppress(zmq.Again):  # It has been refused already.
            self.socket.send_multipart([b"1", b"", messages.encode(Status())], zmq.NOBLOCK)

    def result(self, until: float) -> bool | None:
        """Say whether it was let in; None if nothing came of it."""
        while (left_s := until - time.monotonic()) > 0 and self.monitor.poll(int(1000 * left_s)):
            event = int.from_bytes(self.monitor.recv_multipart()[0][:2], "little")
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return True
            if event & _OVER:
                return bool(self.socket.poll(0))
        return True if self.socket.poll(0) else None

    def close(self) -> None:
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close()


def handshakes(
    target: str, place: Place, kind: str, prepare: Callable[[Socket], None], count: int
) -> Outcome:
    """Try so many handshakes of a kind."""
    results: list[bool | None] = []
    while len(results) < count:
        more = min(AT_ONCE, count - len(results))
        with zmq.Context() as context:  # It has a limit on sockets, and frees them later.
            callers = [Caller(context, place, prepare) for _ in range(more)]
            until = time.monotonic() + PATIENCE_S
            results += [caller.result(until) for caller in callers]
            for caller in callers:
                caller.close()
    return Outcome(target, kind, count, results.count(False), results.count(True))


def against(scene: Scene, count: int) -> Iterator[Outcome]:
    """Try all kinds with the tracker and the node of a cluster with keys, and a key they know."""
    cluster = load(scene.cluster.file)
    assert cluster.keys is not None
    for target in scene.targets.values():
        server = cluster.keys.nodes[NODE] if target.name == NODE else cluster.keys.tracker
        for kind, prepared in KINDS.items():
            prepare = functools.partial(prepared, server=server)
            yield handshakes(target.name, target.place, kind, prepare, count)
        prepare = functools.partial(_with_keys, server=server, own=own_pair(cluster, "n2"))
        yield handshakes(target.name, target.place, KNOWN, prepare, AT_ONCE)


def without_handler(place: Place, count: int) -> Outcome:
    """Try a key that is known where nobody says who may come in."""
    own, known = new_pair(), new_pair()
    gate = Gate(own.secret, lambda key: Who("n1", Role.NODE) if key == known.public else None)
    with zmq.Context() as context:
        listener = Listener(context, f"tcp://{place[0]}:{place[1]}", 1 << 16, Bounds(), gate=gate)
        try:
            prepare = functools.partial(_with_keys, server=own.public, own=known)
            return handshakes("no handler", place, KNOWN, prepare, count)
        finally:
            listener.close()

"""CURVE on sockets (RFC 26), and who is let in (ZAP, RFC 27). Decides nothing about messages.

libzmq asks for each handshake whether that key may come in, over a socket of the same context. No
thread answers: whoever owns the listener polls that socket too. If nobody answers, nobody gets in,
as ZAP_ENFORCE_DOMAIN is set; without it anybody who knows the server's public key would.
"""

import collections
from collections.abc import Callable
from typing import NamedTuple

import zmq
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.permits import Who
from shoal.wire import frames

DOMAIN = b"shoal"
ADDED_BYTES = 33  # To each frame: the command's name and nonce, 8 bytes each, a MAC of 16, flags.
HANDSHAKE_BYTES = 567  # What a DEALER sends before its first message.
MOST_WAITING = 512  # For being let in, of one host: as many as it may have connections.
ONE_BY_ONE_S = 0.05
MOST_ASKED = 64  # Handshakes decided at a time, in some 2 ms: they must not delay requests.
_PLACE = "inproc://zeromq.zap.01"
_KEY_BYTES = 32

Context = zmq.Context[zmq.Socket[bytes]]


class Gate(NamedTuple):
    """What a listener needs for letting in only those with keys."""

    secret: bytes  # The server's own, 32 bytes.
    who: Callable[[bytes], Who | None]  # By public key, as of now; asked for each message.
    removals: Callable[[], int] = lambda: 0  # How often somebody has lost access so far.


def gate_of(ring: Keyring | None) -> Gate | None:
    """Return the gate for those whom a key ring knows; None without keys."""
    return None if ring is None else Gate(ring.own.secret, ring.who, lambda: ring.removals)


def secure_client(sock: "zmq.Socket[bytes]", towards: Towards) -> None:
    """Have a socket, which is not connected yet, speak to one server alone, and try only once.

    libzmq would repeat a handshake that fails several times a second.
    """
    sock.setsockopt(zmq.CURVE_SERVERKEY, towards.server)
    sock.setsockopt(zmq.CURVE_PUBLICKEY, towards.own.public)
    sock.setsockopt(zmq.CURVE_SECRETKEY, towards.own.secret)
    sock.setsockopt(zmq.RECONNECT_STOP, zmq.RECONNECT_STOP_HANDSHAKE_FAILED)


class Door:
    """Answers libzmq's questions who may come in. One for each context.

    Until it does, libzmq reads nothing from a connection, and nobody else can make it wait: the
    number of messages that it queues has no bound (wire.listener). So this also keeps strangers
    out while the process has no memory to spare.
    """

    def __init__(self, context: "Context", gate: Gate | None) -> None:
        """Open it; with a `gate`, those with keys alone come in."""
        self.gate = gate
        self.refused_count = 0
        self._next_at = 0.0
        self._waiting: dict[bytes, collections.deque[list[bytes]]] = {}  # By host.
        self.socket = context.socket(zmq.ROUTER)
        self.socket.set_hwm(0)
        self.socket.setsockopt(zmq.LINGER, 0)
        try:
            self.socket.bind(_PLACE)
        except BaseException:
            self.socket.close()
            raise

    def guard(self, router: "zmq.Socket[bytes]") -> None:
        """Set the options of a socket that is not bound yet."""
        if self.gate is not None:
            router.setsockopt(zmq.CURVE_SERVER, 1)
            router.setsockopt(zmq.CURVE_SECRETKEY, self.gate.secret)
        router.setsockopt(zmq.ZAP_DOMAIN, DOMAIN)
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def look(self, now: float, *, is_full: bool = False) -> None:
        """Answer what libzmq asks; the rest, if that is too much, at the next look.

        While it `is_full`, those who may come in wait, and come in one by one. Each host has its
        turn.
        """
        for _ in range(MOST_ASKED):
            if not frames.has_mail(self.socket):
                break
            self._asked(self.socket.recv_multipart(zmq.NOBLOCK))
        for _ in range(1 if is_full else MOST_ASKED):
            if not self._waiting or (is_full and now < self._next_at):
                return
            self._next_at = now + ONE_BY_ONE_S
            self._let_in()

    def close(self) -> None:
        """Let nobody in any more; those who are stay."""
        self.socket.close()

    def _asked(self, asked: list[bytes]) -> None:
        route, _, version, number, domain, host, _, mechanism, *keys = asked
        envelope = [route, b"", version, number]
        user = b"" if self.gate is None else self._user(self.gate, mechanism, keys)
        if domain != DOMAIN or user is None:
            self.refused_count += 1
            frames.send(self.socket, [*envelope, b"400", b"", b"", b""])
            return
        of_host = self._waiting.setdefault(host, collections.deque(maxlen=MOST_WAITING))
        of_host.append([*envelope, b"200", b"", user, b""])

    def _let_in(self) -> None:
        host = next(iter(self._waiting))
        of_host = self._waiting.pop(host)
        frames.send(self.socket, of_host.popleft())
        if of_host:
            self._waiting[host] = of_host  # Behind the others.

    @staticmethod
    def _user(gate: Gate, mechanism: bytes, keys: list[bytes]) -> bytes | None:
        """Return the name under which libzmq knows whoever has that key; None if nobody has it."""
        if mechanism != b"CURVE" or len(keys) != 1 or len(keys[0]) != _KEY_BYTES:
            return None
        return None if gate.who(keys[0]) is None else keys[0].hex().encode()


def key_of(frame: zmq.Frame) -> bytes:
    """Return the public key of whoever a frame is from; empty without CURVE."""
    try:
        return bytes.fromhex(str(frame.get("User-Id")))
    except zmq.ZMQError:
        return b""

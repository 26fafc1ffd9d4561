"""Sockets with the options that keep them from hanging, dying or losing messages silently.

In short: high-water marks count messages, and a REP drops replies above half of its own mark, so it
is set to four times the requests that one asker may have out. MAXMSGSIZE bounds what a stranger can
make us allocate. Heartbeats are off: a PING waits behind the data of a slow link, and a live peer
would be disconnected; and libzmq aborts the process if one is due on a connection that was closed
while its queue was full (libzmq#4364, open). TCP's keepalive detects a dead peer within 30 s.
"""

import contextlib
import errno
import os
import random
import socket
import struct

import zmq
from shoal.protocol import addresses, messages
from shoal.protocol.errors import OperatorError
from shoal.protocol.manifest import MAX_CHUNK_BYTES

MAX_OUTSTANDING = 16  # Unanswered requests of one asker at one holder.
REPLY_HIGH_WATER = 4 * MAX_OUTSTANDING
CLIENT_HIGH_WATER = 4 * MAX_OUTSTANDING
TRACKER_HIGH_WATER = 3  # A tracker that was down for an hour should not get every attempt.
MONITOR = struct.Struct("=Hi")  # zmq_socket_monitor(3). pyzmq's own reader imports asyncio: 12 ms.
FRAME_SLACK_BYTES = 64 << 10
# What may wait in the kernel's buffer of one connection, besides what is in flight. More would
# drop out of the processor's caches, and it is too late to choose other chunks (decision 0007).
UNSENT_BYTES = 64 << 10
SEND_BUFFER_BYTES = 512 << 10  # With what is in flight. 4 Gbit/s a holder at 1 ms round trip.
TCP_INFO_BYTES = 152  # Of Linux's struct tcp_info, up to tcpi_min_rtt, in microseconds.
TCP_INFO_RECEIVED = 128  # Where tcpi_bytes_received is in it.
TCP_RTO_MAX_MS = 44  # Linux 6.15 and later; not in Python's socket module.
MOST_PAUSE_MS = 1500  # Longer than any round trip without a queue on the way.
HANDSHAKE_MS = 5000
CONNECT_MS = 3000
UNACKNOWLEDGED_MS = 15_000
BACKLOG = 4096


def replier(context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> "zmq.Socket[bytes]":
    """Return a REP that is bound to `address`.

    Raises:
        OperatorError: it cannot be bound.
    """
    sock = context.socket(zmq.REP)
    sock.setsockopt(zmq.SNDHWM, REPLY_HIGH_WATER)
    sock.setsockopt(zmq.RCVHWM, REPLY_HIGH_WATER)
    sock.setsockopt(zmq.SNDBUF, SEND_BUFFER_BYTES)
    sock.setsockopt(zmq.MAXMSGSIZE, messages.MAX_CHUNK_REQUEST_BYTES)
    with sock.get_monitor_socket(zmq.EVENT_LISTENING) as monitor:
        bind(sock, address)
        _prepare_accepted(monitor)
        sock.disable_monitor()
    return sock


def _prepare_accepted(monitor: "zmq.Socket[bytes]") -> None:
    """Bound the unsent bytes of each connection that the socket accepts, and its TCP pauses.

    libzmq has no option for them (TCP_NOTSENT_LOWAT), but its monitor tells the descriptor of the
    listening socket, from which accepted connections inherit them.
    """
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    told, _ = monitor.recv_multipart()
    _, number = MONITOR.unpack(told)
    listener = connection(number)
    if listener is None:
        return
    with listener:
        bound_pauses(listener)
        if option is not None:
            with contextlib.suppress(OSError):
                listener.setsockopt(socket.IPPROTO_TCP, option, UNSENT_BYTES)


def connection(number: int) -> socket.socket | None:
    """Return the connection whose descriptor a monitor told; None if it has been closed."""
    try:
        mine = os.dup(number)
    except OSError:
        return None
    try:
        return socket.socket(fileno=mine)
    except OSError:  # Another kind of file has that descriptor by now.
        os.close(mine)
        return None


def round_trip_s(opened: socket.socket) -> float:
    """Return the shortest round trip seen on a connection, in seconds; 0 if it is unknown."""
    info = _tcp_info(opened)
    if info is None:
        return 0.0
    least_us: int = struct.unpack_from("=I", info, TCP_INFO_BYTES - 4)[0]
    return least_us / 1e6


def received_bytes(opened: socket.socket) -> int:
    """Return how much has arrived over a connection, whole messages or not; 0 if unknown."""
    info = _tcp_info(opened)
    if info is None:
        return 0
    received: int = struct.unpack_from("=Q", info, TCP_INFO_RECEIVED)[0]
    return received


def _tcp_info(opened: socket.socket) -> bytes | None:
    try:
        info = opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
    except (OSError, AttributeError):
        return None
    return info if len(info) == TCP_INFO_BYTES else None


def bound_pauses(opened: socket.socket) -> None:
    """Cap the pause before lost packets are retransmitted, which TCP doubles up to two minutes.

    Otherwise a cable that was unplugged stays unused for as long again. Older kernels do not have
    the option.
    """
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, MOST_PAUSE_MS)


def bound_window(opened: socket.socket, window_bytes: int) -> None:
    """Bound what the other end of a connection may have in flight to us.

    The kernel doubles the number for its own overhead, and no longer enlarges the buffer by itself.
    """
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)


def dealer(context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> "zmq.Socket[bytes]":
    """Return a DEALER that is connecting to one holder; it never reconnects by itself.

    Requests wait in it until it is connected. It has one endpoint, so none can go elsewhere. When
    the connection is lost, close the socket.
    """
    sock = _unconnected_dealer(context)
    sock.connect(address)
    return sock


def monitored_dealer(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str, events: int
) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """Return such a DEALER, and a socket that reports its `events` (zmq.EVENT_…).

    The monitor comes first: our own machine refuses a connection within 50 us, and that must not
    be missed.
    """
    sock = _unconnected_dealer(context)
    monitor = sock.get_monitor_socket(events)
    sock.connect(address)
    return sock, monitor


def _unconnected_dealer(context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.RCVHWM, CLIENT_HIGH_WATER)
    sock.setsockopt(zmq.SNDHWM, CLIENT_HIGH_WATER)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_CHUNK_BYTES + FRAME_SLACK_BYTES)
    sock.setsockopt(zmq.RECONNECT_IVL, -1)
    _prepare_client(sock)
    return sock


def tracker_dealer(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str, rng: random.Random
) -> "zmq.Socket[bytes]":
    """Return a DEALER for the tracker, which reconnects whenever it can."""
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.MAXMSGSIZE, messages.MAX_REPLY_BYTES)
    sock.setsockopt(zmq.SNDHWM, TRACKER_HIGH_WATER)
    # RECONNECT_IVL_MAX would switch libzmq's own jitter off, so the base itself is random.
    sock.setsockopt(zmq.RECONNECT_IVL, rng.randrange(100, 400))
    sock.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
    _prepare_client(sock)
    sock.connect(address)
    return sock


def bind(sock: "zmq.Socket[bytes]", address: str) -> None:
    """Set a server's common options and bind it; if it fails, close it: OperatorError."""
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.BACKLOG, BACKLOG)
    # Without a domain libzmq takes HTTP, SSH and noise for ZMTP 1, and keeps the connection.
    sock.setsockopt(zmq.ZAP_DOMAIN, b"shoal")
    sock.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    sock.setsockopt(zmq.IPV6, 1)
    _keep_alive(sock)
    try:
        sock.bind(_resolved(address))
    except (zmq.ZMQError, OSError) as error:
        sock.close()
        raise OperatorError(f"cannot listen on {address}: {_remedy(error)}") from None


def _prepare_client(sock: "zmq.Socket[bytes]") -> None:
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.IPV6, 1)
    sock.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    sock.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    _keep_alive(sock)


def _keep_alive(sock: "zmq.Socket[bytes]") -> None:
    sock.setsockopt(zmq.TCP_KEEPALIVE, 1)
    sock.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 10)
    sock.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
    sock.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    sock.setsockopt(zmq.TCP_MAXRT, UNACKNOWLEDGED_MS)


def _resolved(address: str) -> str:
    """ZeroMQ binds to numeric addresses and interface names; look up a host name first."""
    host, port = addresses.split(address)
    name = host.encode() if host.isascii() else host  # A str is taken for IDNA: 2 ms of imports.
    family, *_, place = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
    return f"tcp://[{place[0]}]:{port}" if family == socket.AF_INET6 else f"tcp://{place[0]}:{port}"


def _remedy(error: zmq.ZMQError | OSError) -> str:
    number = error.errno
    if number == zmq.EADDRINUSE:
        return "the port is in use; stop what uses it, or change the address in the cluster file"
    if number in {zmq.EADDRNOTAVAIL, errno.ENODEV} or isinstance(error, socket.gaierror):
        return (
            "that address does not belong to this machine; run this on the host that has it, "
            "or change the address in the cluster file"
        )
    return f"{error.strerror or error}; change the address in the cluster file"

"""Sockets with the options that keep them from hanging, dying or losing messages silently.

In short: high-water marks count messages, and libzmq aborts if a connection is reset while it does
not read from it (wire.listener), so those that strangers can reach have none. MAXMSGSIZE bounds
what one frame can make us allocate. Heartbeats are off: a PING waits behind the data of a slow
link, and a live peer would be disconnected. TCP's keepalive detects a dead peer within 30 s.
"""

import contextlib
import ctypes
import errno
import os
import random
import socket
import struct
import sys
from collections.abc import Iterator

import zmq
from shoal.protocol import messages
from shoal.protocol.errors import UnavailableError
from shoal.protocol.keyring import Towards
from shoal.protocol.manifest import MAX_CHUNK_BYTES
from shoal.wire import curve
from shoal.wire.host_names import HOST_NAMES, HostNameError

MAX_OUTSTANDING = 16  # Unanswered requests of one asker at one holder.
CLIENT_HIGH_WATER = 4 * MAX_OUTSTANDING
TRACKER_HIGH_WATER = 3  # A tracker that was down for an hour should not get every attempt.
MONITOR = struct.Struct("=Hi")  # zmq_socket_monitor(3). pyzmq's own reader imports asyncio: 12 ms.
FRAME_SLACK_BYTES = 64 << 10
# What may wait in the kernel's buffer of one connection, besides what is in flight. More would
# drop out of the processor's caches, and it is too late to choose other chunks (decision 0007).
UNSENT_BYTES = 64 << 10
SEND_BUFFER_BYTES = 512 << 10  # With what is in flight. 4 Gbit/s a holder at 1 ms round trip.
REQUEST_BUFFER_BYTES = 64 << 10  # What a stranger sends at once; the kernel doubles it.
TCP_INFO_BYTES = 152  # Of Linux's struct tcp_info, up to tcpi_min_rtt, in microseconds.
TCP_INFO_USUAL = 68  # Where tcpi_rtt is in it, in microseconds: smoothed over some round trips.
TCP_INFO_BYTES_ACKED = 120  # Where tcpi_bytes_acked is in it, followed by tcpi_bytes_received.
TCP_RTO_MAX_MS = 44  # Linux 6.15 and later; not in Python's socket module.
SO_MAX_PACING_RATE = 47  # socket(7): in bytes/s. Not in Python's socket module.
_UNPACED = 2**64 - 1
MOST_PAUSE_MS = 1500  # Longer than any round trip without a queue on the way.
HANDSHAKE_MS = 5000
CONNECT_MS = 3000
UNACKNOWLEDGED_MS = 15_000  # By the tracker, or one of its clients.
UNACKNOWLEDGED_DATA_MS = 30_000  # A queue of 128 KiB before a link of 64 kbit/s takes 16 s.
BACKLOG = 4096
_FAMILIES = {socket.AF_INET, socket.AF_INET6}
_UNSPECIFIED = bytes(16)  # A struct sockaddr with AF_UNSPEC.
HANDSHAKE_FAILED = (
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
    | int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    | int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
)
CUT = int(zmq.EVENT_CLOSED) | int(zmq.EVENT_DISCONNECTED)


def prepare_listening(listener: socket.socket) -> None:
    """Bound the unsent bytes of each connection that `listener` accepts, and its TCP pauses.

    libzmq has no option for them (TCP_NOTSENT_LOWAT), but its monitor tells the descriptor of the
    listening socket, from which accepted connections inherit them.
    """
    bound_pauses(listener)
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
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
        copied = socket.socket(fileno=mine)
    except OSError:  # Another kind of file has that descriptor by now.
        os.close(mine)
        return None
    if copied.family in _FAMILIES:
        return copied
    copied.close()
    return None


@contextlib.contextmanager
def borrowed(number: int) -> Iterator[socket.socket]:
    """Give access to the connection that has a descriptor now; for a moment, as a copy may fail.

    Raises:
        OSError: it is none. What is done with it raises that too if it has been closed.
    """
    opened = socket.socket(fileno=number)
    try:
        if opened.family not in _FAMILIES:
            raise OSError(errno.ENOTSOCK, "another file has that descriptor by now")
        yield opened
    finally:
        opened.detach()  # It is libzmq's to close.


def abort(opened: socket.socket) -> None:
    """End a connection for whoever else has it; what has come and was not read is lost.

    Shutting it down alone would have libzmq read that first, to the end. Whoever reads then is told
    that it is not connected. `opened` must be a copy: libzmq closes its own at once, and its number
    may be another connection's before we are through.

    Raises:
        OSError: it has ended already.
    """
    if sys.platform.startswith("linux"):  # connect(2): AF_UNSPEC dissolves a connection.
        ctypes.CDLL(None).connect(opened.fileno(), _UNSPECIFIED, len(_UNSPECIFIED))
    else:
        opened.shutdown(socket.SHUT_RDWR)


def round_trip_s(opened: socket.socket) -> float:
    """Return the shortest round trip seen on a connection, in seconds; 0 if it is unknown."""
    info = _tcp_info(opened)
    if info is None:
        return 0.0
    least_us: int = struct.unpack_from("=I", info, TCP_INFO_BYTES - 4)[0]
    return least_us / 1e6


def flow(opened: socket.socket) -> tuple[float, int] | None:
    """Return the usual round trip on a connection in seconds, and how many bytes have arrived.

    None if they are unknown.
    """
    info = _tcp_info(opened)
    if info is None:
        return None
    usual_us: int = struct.unpack_from("=I", info, TCP_INFO_USUAL)[0]
    arrived: int = struct.unpack_from("=Q", info, TCP_INFO_BYTES_ACKED)[0]
    return usual_us / 1e6, arrived


def transferred_bytes(opened: socket.socket) -> tuple[int, int]:
    """Return how much has come over a connection, whole messages or not, and how much has left.

    Both are 0 if they are unknown.
    """
    info = _tcp_info(opened)
    if info is None:
        return 0, 0
    left, came = struct.unpack_from("=QQ", info, TCP_INFO_BYTES_ACKED)
    return came, left


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


def pace(opened: socket.socket, rate: int | None) -> None:
    """Have the kernel send at most so many bytes/s over a connection, evenly; None: any.

    To somebody near it sends up to 64 KiB at once all the same.

    Raises:
        OSError: it has ended. Where the kernel does not have the option, nothing happens.
    """
    if sys.platform.startswith("linux"):
        number = _UNPACED if rate is None else rate
        opened.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("=Q", number))


def bound_window(opened: socket.socket, window_bytes: int) -> None:
    """Bound what the other end of a connection may have in flight to us.

    The kernel doubles the number for its own overhead, and no longer enlarges the buffer by itself.
    """
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)


def dealer(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str, towards: Towards | None = None
) -> "zmq.Socket[bytes]":
    """Return a DEALER that is connecting to one holder; it never reconnects by itself.

    Requests wait in it until it is connected. It has one endpoint, so none can go elsewhere. When
    the connection is lost, close the socket. `address` has numbers (wire.host_names).
    """
    sock = _unconnected_dealer(context, towards)
    sock.connect(address)
    return sock


def monitored_dealer(
    context: "zmq.Context[zmq.Socket[bytes]]", events: int, towards: Towards | None = None
) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """Return such a DEALER that is still to be connected, and a socket that reports its `events`.

    The monitor comes first: our own machine refuses a connection within 50 us, and that must not
    be missed. `events` are zmq.EVENT_…
    """
    sock = _unconnected_dealer(context, towards)
    return sock, sock.get_monitor_socket(events)


def _unconnected_dealer(
    context: "zmq.Context[zmq.Socket[bytes]]", towards: Towards | None
) -> "zmq.Socket[bytes]":
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.RCVHWM, 0)  # See wire.listener: a holder could abort us. Links bounds it.
    sock.setsockopt(zmq.SNDHWM, CLIENT_HIGH_WATER)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_CHUNK_BYTES + FRAME_SLACK_BYTES)
    sock.setsockopt(zmq.RECONNECT_IVL, -1)
    _prepare_client(sock, UNACKNOWLEDGED_DATA_MS, towards)
    return sock


def tracker_dealer(
    context: "zmq.Context[zmq.Socket[bytes]]",
    rng: random.Random,
    towards: Towards | None = None,
    events: int = HANDSHAKE_FAILED,
) -> "tuple[zmq.Socket[bytes], zmq.Socket[bytes]]":
    """Return a DEALER for the tracker, and its monitor; once connected, it reconnects if it can.

    The monitor reports `events`. With keys, the DEALER does not reconnect after a handshake failed.
    """
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.MAXMSGSIZE, messages.MAX_REPLY_BYTES + curve.ADDED_BYTES)
    sock.setsockopt(zmq.RCVHWM, 0)  # See wire.listener: a tracker that lies could abort us.
    sock.setsockopt(zmq.SNDHWM, TRACKER_HIGH_WATER)
    # RECONNECT_IVL_MAX would switch libzmq's own jitter off, so the base itself is random.
    sock.setsockopt(zmq.RECONNECT_IVL, rng.randrange(100, 400))
    sock.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
    _prepare_client(sock, UNACKNOWLEDGED_MS, towards)
    return sock, sock.get_monitor_socket(events)


def bind(
    sock: "zmq.Socket[bytes]", address: str, unacknowledged_ms: int = UNACKNOWLEDGED_MS
) -> None:
    """Set a server's common options and bind it; if it fails, close it: UnavailableError."""
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.BACKLOG, BACKLOG)
    _refuse_what_is_older_than_zmtp_3(sock)
    sock.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    sock.setsockopt(zmq.IPV6, 1)
    _keep_alive(sock, unacknowledged_ms)
    try:
        sock.bind(HOST_NAMES.wait(address))
    except (zmq.ZMQError, HostNameError) as error:
        sock.close()
        raise UnavailableError(f"cannot listen on {address}: {_remedy(error)}") from None


def _refuse_what_is_older_than_zmtp_3(sock: "zmq.Socket[bytes]") -> None:
    """Without a domain libzmq takes HTTP, SSH and noise for ZMTP 1, and keeps the connection."""
    sock.setsockopt(zmq.ZAP_DOMAIN, curve.DOMAIN)


def _prepare_client(
    sock: "zmq.Socket[bytes]", unacknowledged_ms: int, towards: Towards | None
) -> None:
    if towards is not None:
        curve.secure_client(sock, towards)
    sock.setsockopt(zmq.LINGER, 0)
    sock.setsockopt(zmq.IPV6, 1)
    sock.setsockopt(zmq.CONNECT_TIMEOUT, CONNECT_MS)
    _refuse_what_is_older_than_zmtp_3(sock)
    sock.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
    _keep_alive(sock, unacknowledged_ms)


def _keep_alive(sock: "zmq.Socket[bytes]", unacknowledged_ms: int) -> None:
    sock.setsockopt(zmq.TCP_KEEPALIVE, 1)
    sock.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 10)
    sock.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 5)
    sock.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    sock.setsockopt(zmq.TCP_MAXRT, unacknowledged_ms)


def _remedy(error: zmq.ZMQError | HostNameError) -> str:
    if isinstance(error, HostNameError):
        return f"{error}; correct the address in the cluster file, or the name service"
    number = error.errno
    if number == zmq.EADDRINUSE:
        return "the port is in use; stop what uses it, or change the address in the cluster file"
    if number in {zmq.EADDRNOTAVAIL, errno.ENODEV}:
        return (
            "that address does not belong to this machine; run this on the host that has it, or "
            "correct it in the cluster file; behind NAT or in a container, add `listen` there"
        )
    return f"{error.strerror or error}; change the address in the cluster file"

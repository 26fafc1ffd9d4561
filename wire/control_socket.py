"""The local socket by which a command reaches the node that owns a folder. Only its user can."""

import os
import socket
import tempfile
from pathlib import Path

import zmq
from blake3 import blake3

MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 108.
MAX_ORDER_BYTES = 1 << 20  # Twice 100 patterns of 1000 characters, of up to four bytes each.


def endpoint_for(folder: Path) -> str:
    """Return the endpoint of the node that owns `folder`: the same text in every process."""
    path = str(folder.resolve() / ".shoal" / "control")
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        digest = blake3(os.fsencode(path)).hexdigest()[:16]
        path = str(Path(tempfile.gettempdir()) / f"shoal-{os.getuid()}-{digest}")
    return f"ipc://{path}"


def takes_orders(folder: Path) -> bool:
    """Say whether a node listens there now: what a dead one leaves behind does not answer."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(endpoint_for(folder).removeprefix("ipc://")) == 0


def place_of(folder: Path) -> Path:
    """Return where the socket is: in the folder's `.shoal`, if that is not too long a path."""
    return Path(endpoint_for(folder).removeprefix("ipc://"))


def node_end(context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> "zmq.Socket[bytes]":
    """Return the ROUTER that takes orders; raise ZMQError if something else is in its place."""
    sock = context.socket(zmq.ROUTER)
    sock.setsockopt(zmq.LINGER, 500)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_ORDER_BYTES)
    try:
        sock.bind(endpoint_for(folder))
    except zmq.ZMQError:
        sock.close()
        raise
    place_of(folder).chmod(0o600)
    return sock


def command_end(context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> "zmq.Socket[bytes]":
    """Return a DEALER that gives orders."""
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.LINGER, 500)
    sock.connect(endpoint_for(folder))
    return sock

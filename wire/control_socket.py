"""The local socket through which commands reach the node of a folder. Open to its user alone."""

import os
import socket
import tempfile
from pathlib import Path

import zmq
from blake3 import blake3

MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 108.
MAX_ORDER_BYTES = 1 << 20  # Twice 100 patterns of 1000 characters with up to four bytes each.


def place_of(folder: Path) -> Path:
    """Return where the socket is: in the folder's `.shoal`, unless that path is too long.

    It is the same in every process, whatever path names the folder.
    """
    path = folder.resolve() / ".shoal" / "control"
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    digest = blake3(os.fsencode(path)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"shoal-{os.getuid()}-{digest}"


def takes_orders(folder: Path) -> bool:
    """Say whether a node is listening there now. A socket that a dead one left does not count."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(place_of(folder))) == 0


def node_end(context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> "zmq.Socket[bytes]":
    """Return the ROUTER that takes orders; raise ZMQError if something else is in its place."""
    place = place_of(folder)
    sock = context.socket(zmq.ROUTER)
    sock.setsockopt(zmq.LINGER, 500)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_ORDER_BYTES)
    try:
        sock.bind(f"ipc://{place}")
    except zmq.ZMQError:
        sock.close()
        raise
    place.chmod(0o600)
    return sock


def command_end(context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> "zmq.Socket[bytes]":
    """Return a DEALER that gives orders."""
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.LINGER, 500)
    sock.connect(f"ipc://{place_of(folder)}")
    return sock

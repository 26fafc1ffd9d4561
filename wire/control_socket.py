"""The local socket through which commands reach the node of a folder. Open to its user alone."""

import os
import socket
import struct
import threading
from pathlib import Path

import zmq

MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 108.
MAX_ORDER_BYTES = 1 << 20  # Twice 100 patterns of 1000 characters with up to four bytes each.
_PEER = struct.Struct("3i")  # Linux's struct ucred: process, user, group.

_lock = threading.Lock()
_opened: dict[tuple[int, int], int] = {}  # Descriptors by device and inode; few, and kept.


def place_of(folder: Path) -> Path:
    """Return where the socket is: in the folder's `.shoal`, where nobody else may make one.

    It is the same in every process, whatever path names the folder.
    """
    return folder.resolve() / ".shoal" / "control"


def takes_orders(folder: Path) -> bool:
    """Say whether a node is listening there now. A socket that a dead one left does not count.

    Nor does one of another user, unless the folder is theirs: its word would be taken.
    """
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(_short(place_of(folder)))
            cred = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        _, user, _ = _PEER.unpack(cred)
        return user in {os.geteuid(), folder.stat().st_uid, 0}
    except OSError:
        return False


def _short(place: Path) -> str:
    """Return a path for `place` that is short enough for a socket, as long as this process runs."""
    if len(os.fsencode(place)) <= MAX_SOCKET_PATH_BYTES:
        return str(place)
    found = place.parent.stat()
    with _lock:
        directory = _opened.get((found.st_dev, found.st_ino))
        if directory is None:
            directory = os.open(place.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            _opened[found.st_dev, found.st_ino] = directory
    return f"/proc/self/fd/{directory}/{place.name}"


def node_end(context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> "zmq.Socket[bytes]":
    """Return the ROUTER that takes orders.

    Raises:
        ZMQError, OSError: something else is in its place, or the directory is not there.
    """
    place = place_of(folder)
    sock = context.socket(zmq.ROUTER)
    sock.setsockopt(zmq.LINGER, 500)
    sock.setsockopt(zmq.MAXMSGSIZE, MAX_ORDER_BYTES)
    try:
        sock.bind(f"ipc://{_short(place)}")
        place.chmod(0o600)
    except (zmq.ZMQError, OSError):
        sock.close()
        raise
    return sock


def command_end(context: "zmq.Context[zmq.Socket[bytes]]", folder: Path) -> "zmq.Socket[bytes]":
    """Return a DEALER that gives orders, where a node `takes_orders`."""
    sock = context.socket(zmq.DEALER)
    sock.setsockopt(zmq.LINGER, 500)
    sock.connect(f"ipc://{_short(place_of(folder))}")
    return sock

"""A connection as a stranger makes it: ZMTP 3.1 by hand, over a plain socket."""

import socket
import struct
from typing import TypeAlias

Place: TypeAlias = tuple[str, int]  # A numeric address and a port.

GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL".ljust(64, b"\0")
READY = b"\4\x1c\5READY\x0bSocket-Type\0\0\0\6DEALER"
TAG = b"12345678"
LIMIT_S = 10.0
_MORE, _LONG = 1, 2
_MOST_SHORT_BYTES = 255
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets the connection.


def frame(data: bytes, *, more: bool = False) -> bytes:
    """Return a frame as it is on the wire."""
    size = len(data)
    if size > _MOST_SHORT_BYTES:
        return bytes([_LONG | more]) + size.to_bytes(8) + data
    return bytes([more, size]) + data


def request(body: bytes) -> bytes:
    """Return a message with an envelope and one frame."""
    return frame(TAG, more=True) + frame(b"", more=True) + frame(body)


def connected(
    place: Place, source: str = "", *, shakes_hands: bool = True, window_bytes: int = 0
) -> socket.socket:
    """Return a connection, from an address of this machine if one is named; OSError if refused.

    A small window makes it one that reads slowly.
    """
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(LIMIT_S)
        if window_bytes:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
        if source:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
            opened.bind((source, 0))
        opened.connect(place)
        if shakes_hands:
            shake_hands(opened)
    except BaseException:
        opened.close()
        raise
    return opened


def shake_hands(opened: socket.socket) -> None:
    """Say who we are, and hear who they are; OSError if they hang up."""
    opened.sendall(GREETING + READY)
    heard = b""
    while b"Socket-Type" not in heard:
        got = opened.recv(1 << 12)
        if not got:
            raise ConnectionResetError("closed during the handshake")
        heard += got


def reset(opened: socket.socket) -> None:
    """Close a connection without leaving it in TIME_WAIT."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    opened.close()

"""Messages of several frames, sent and received at once or not at all.

pyzmq's own send_multipart and recv_multipart make an enum of each flag, and ask the socket after
each frame whether another follows. That is a third of what a small message costs.
"""

from typing import Any

import zmq
from zmq.backend import Socket as _Plain

SHORT_HEADER_BYTES, LONG_HEADER_BYTES, MOST_SHORT_BYTES = 2, 9, 255  # ZMTP 3.1.
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_send = _Plain.send  # Without the options for other socket types, which cost as much again.
_NOW = int(zmq.NOBLOCK)
_NOW_AND_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)


def has_mail(sock: "zmq.Socket[bytes]") -> bool:
    """Say whether there is something to receive; takes in libzmq's signals.

    Asking first avoids an exception when there is nothing, which costs five times as much.
    """
    return bool(sock.get(_EVENTS) & _POLLIN)  # type: ignore[operator]  # Not bytes.


def send(sock: "zmq.Socket[bytes]", frames: list[bytes]) -> bool:
    """Send, and say whether there was room: libzmq takes all frames of a message or none."""
    try:
        for frame in frames[:-1]:
            begin(sock, frame)
        _send(sock, frames[-1], _NOW)
    except zmq.Again:
        return False
    return True


def begin(sock: "zmq.Socket[bytes]", frame: bytes) -> None:
    """Send a frame of a message whose last frame is still to come."""
    _send(sock, frame, _NOW_AND_MORE)


def end_uncopied(sock: "zmq.Socket[bytes]", frame: bytes) -> None:
    """Send the last frame of a message straight from the caller's memory."""
    _send(sock, frame, 0, False)  # noqa: FBT003 (by name it takes longer)


def receive(sock: "zmq.Socket[bytes]") -> list[zmq.Frame] | None:
    """Return the frames of the next message, without copying them; None if there is none."""
    try:
        frame: Any = sock.recv(_NOW, copy=False)
    except zmq.Again:
        return None
    frames = [frame]
    while frame.more:
        frame = sock.recv(_NOW, copy=False)
        frames.append(frame)
    return frames


def size_on_the_wire(frame: zmq.Frame) -> int:
    """Return how many bytes a frame takes on a connection, with ZMTP's flags and length."""
    size = len(frame)
    return size + (LONG_HEADER_BYTES if size > MOST_SHORT_BYTES else SHORT_HEADER_BYTES)


def origin(frame: zmq.Frame) -> tuple[str, str]:
    """Return where a frame came from: the host's address, and the number of its connection.

    libzmq supplies both, so the sender cannot choose them (zmq_msg_gets(3)). The number is that of
    the file descriptor (ZMQ_SRCFD), which may be reused once the connection is closed.
    """
    try:
        return str(frame.get("Peer-Address")), str(frame.get("__fd"))
    except zmq.ZMQError:  # A transport without addresses.
        return "", ""

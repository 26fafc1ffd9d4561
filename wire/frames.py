"""Messages of several frames, sent and received at once or not at all.

pyzmq's own send_multipart and recv_multipart make an enum of each flag, and ask the socket after
each frame whether another follows. That is a third of what a small message costs.
"""

from collections.abc import Collection
from typing import Any

import zmq
from zmq.backend import Socket as _Plain

MOST_FRAMES = 16  # That are read of a message: an envelope has six, and what is in it two.
SHORT_HEADER_BYTES, LONG_HEADER_BYTES, MOST_SHORT_BYTES = 2, 9, 255  # ZMTP 3.1.
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_send, _receive = (
    _Plain.send,
    _Plain.recv,
)  # Without the options for other socket types, which cost as much again.
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


def receive(sock: "zmq.Socket[bytes]", unwanted: Collection[bytes] = ()) -> list[zmq.Frame] | None:
    """Return the frames of the next message, without copying them; None if there is none.

    Of a message with more than MOST_FRAMES, which only strangers send, the rest is dropped; and all
    of one whose first frame is `unwanted`.
    """
    try:
        frame: Any = _receive(sock, _NOW, False)  # noqa: FBT003 (by name it takes longer)
    except zmq.Again:
        return None
    frames = [frame]
    most = MOST_FRAMES
    if unwanted and frame.bytes in unwanted:
        frames, most = [], 0
    while frame.more:
        frame = _receive(sock, _NOW, False)  # noqa: FBT003
        if len(frames) < most:
            frames.append(frame)
    return frames


def size_on_the_wire(frame: bytes | zmq.Frame, added_bytes: int = 0) -> int:
    """Return how many bytes a frame takes on a connection, with ZMTP's flags and length.

    `added_bytes` is what a mechanism adds to each frame (wire.curve).
    """
    return framed_bytes(len(frame) + added_bytes)


def framed_bytes(size: int) -> int:
    """Return how many bytes a frame of so many takes, with ZMTP's flags and length."""
    return size + (LONG_HEADER_BYTES if size > MOST_SHORT_BYTES else SHORT_HEADER_BYTES)


def descriptor(frame: zmq.Frame) -> int:
    """Return the descriptor of the connection that a frame came over (ZMQ_SRCFD).

    It may be another connection's by now. -1 for a transport without connections.
    """
    try:
        return int(frame.get("__fd"))
    except zmq.ZMQError:
        return -1

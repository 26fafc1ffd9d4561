"""The process of strangers that try to fill somebody's memory; one kind of attack at a time.

python -m tests.attacks.strangers KIND HOST PORT SECONDS CONTENT_ID

It prints how many connections it made, and how much it has sent over them, as JSON.
"""

import json
import random
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from shoal.protocol import messages
from shoal.protocol.messages import MAX_CHUNK_REQUEST_BYTES, ChunkRequest, List, ManifestRequest

from tests.attacks import zmtp
from tests.attacks.zmtp import GREETING, TAG, Place, frame, request

HOSTS = 4
MOST_CHUNKS = 64
AT_ONCE = 100_000  # Bytes, about: of what is repeated.
PAUSE_S = 0.05  # Before a place is tried again that refuses us.
CONNECTS_PER_S = 1000.0
WINDOW_BYTES = 4096  # Of those that read nothing.


class Attack(NamedTuple):
    """What each connection sends: once, and then again and again, with pauses."""

    repeated: bytes
    connections: int = 8  # At a time.
    once: bytes = b""
    pause_s: float = 0.0
    shakes_hands: bool = True
    reads: bool = True


def _times(data: bytes) -> bytes:
    return data * (1 + AT_ONCE // len(data))


def _unread(content_id: str) -> bytes:
    asked = (List(), ManifestRequest(content_id))
    chunks = (ChunkRequest(content_id, index, "evil") for index in range(MOST_CHUNKS))
    return b"".join(request(messages.encode(one)) for one in (*asked, *chunks))


def _nearly(size: int) -> bytes:
    """Return all but the last kilobytes of a message with a long frame."""
    return request(bytes(size))[:-4096]


OPENING = frame(TAG, more=True) + frame(b"", more=True)
LONG_BYTES = MAX_CHUNK_REQUEST_BYTES - 100
ATTACKS: dict[str, Callable[[str], Attack]] = {
    "endless small frames": lambda _: Attack(_times(frame(b"x", more=True)), once=OPENING),
    "endless empty frames": lambda _: Attack(_times(frame(b"", more=True)), once=frame(TAG)),
    "endless long frames": lambda _: Attack(frame(bytes(LONG_BYTES), more=True), once=OPENING),
    "unread replies": lambda content_id: Attack(_unread(content_id), connections=30, reads=False),
    "large messages": lambda _: Attack(request(bytes(LONG_BYTES)), connections=30),
    "tiny messages": lambda _: Attack(_times(request(b"")), connections=30),
    "no envelopes": lambda _: Attack(_times(frame(b"")), connections=30),
    "random bytes": lambda _: Attack(random.Random(1).randbytes(AT_ONCE), shakes_hands=False),
    "half-open handshakes": lambda _: Attack(
        b"", connections=2000, once=GREETING[:11], pause_s=1.0, shakes_hands=False
    ),
    "slow senders": lambda _: Attack(b"\0", connections=500, once=_nearly(LONG_BYTES), pause_s=0.1),
}


class Crowd:
    """The connections of one attack; those that are cut off are replaced."""

    def __init__(self, place: Place, attack: Attack, rng: random.Random) -> None:
        self.connections = self.sent_bytes = 0
        self._place = place
        self._attack = attack
        self._rng = rng
        self._selector = selectors.DefaultSelector()
        self._left: dict[socket.socket, memoryview] = {}  # To be sent.

    def run(self, until: float) -> None:
        turn_at, began = 0.0, time.monotonic() - PAUSE_S
        while (now := time.monotonic()) < until:
            most = CONNECTS_PER_S * (now - began)
            self._connect_all(most)
            if self._attack.pause_s and now >= turn_at:
                turn_at = now + self._attack.pause_s
                for one in self._left:
                    self._again(one)
            for key, events in self._selector.select(PAUSE_S):
                self._turn(key.fileobj, events)  # type: ignore[arg-type]  # Sockets are registered.
        for one in list(self._left):
            self._drop(one)
        self._selector.close()

    def _connect_all(self, most: float) -> None:
        """Replace those that were cut off, but no more than that since the start."""
        while len(self._left) < self._attack.connections and self.connections < most:
            if not self._connect():
                break
        if not self._left:
            time.sleep(PAUSE_S)

    def _connect(self) -> bool:
        source, attack = f"127.66.0.{1 + self._rng.randrange(HOSTS)}", self._attack
        window = 0 if attack.reads else WINDOW_BYTES
        try:
            opened = zmtp.connected(
                self._place, source, shakes_hands=attack.shakes_hands, window_bytes=window
            )
        except OSError:
            return False
        opened.settimeout(0)
        self.connections += 1
        self._left[opened] = memoryview(attack.once)
        self._selector.register(opened, selectors.EVENT_WRITE | selectors.EVENT_READ)
        return True

    def _again(self, one: socket.socket) -> None:
        if not self._left[one]:
            self._left[one] = memoryview(self._attack.repeated)
            self._selector.modify(one, selectors.EVENT_WRITE | selectors.EVENT_READ)

    def _turn(self, one: socket.socket, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and self._attack.reads and not one.recv(1 << 16):
                raise ConnectionResetError("cut off")
            if events & selectors.EVENT_WRITE:
                self._send(one)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(one)

    def _send(self, one: socket.socket) -> None:
        left = self._left[one]
        if left:
            sent = one.send(left)
            self.sent_bytes += sent
            self._left[one] = left[sent:]
        elif self._attack.pause_s:
            self._selector.modify(one, selectors.EVENT_READ)
        else:
            self._again(one)

    def _drop(self, one: socket.socket) -> None:
        self._selector.unregister(one)
        del self._left[one]
        zmtp.reset(one)


def main(kind: str, host: str, port: int, seconds: float, content_id: str) -> None:
    crowd = Crowd((host, port), ATTACKS[kind](content_id), random.Random(kind))
    crowd.run(time.monotonic() + seconds)
    print(json.dumps({"connections": crowd.connections, "sent_bytes": crowd.sent_bytes}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])

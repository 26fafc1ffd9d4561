"""The process that opens connections, half of which never say who they are.

python -m tests.attacks.crowd HOST PORT COUNT RATE
"""

import collections
import contextlib
import itertools
import json
import socket
import sys
import time

from tests.attacks import zmtp
from tests.attacks.zmtp import Place

OPEN = 4000  # At a time, if we are not cut off.
SOURCES = 100  # Hosts that they come from; every eighth comes from the honest client's.


class Crowd:
    """So many connections, of which the last OPEN are kept."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.let_in = self.refused = self.cut_off = 0
        self._kept: collections.deque[socket.socket] = collections.deque()

    def open(self, number: int) -> None:
        source = "127.0.0.1" if number % 8 == 0 else f"127.77.{number % SOURCES}.1"
        try:
            opened = zmtp.connected(self.place, source, shakes_hands=False)
        except OSError:
            self.refused += 1
            return
        opened.settimeout(0)
        if number // 2 % 2:
            with contextlib.suppress(OSError):
                opened.send(zmtp.GREETING + zmtp.READY)
        self._kept.append(opened)
        if len(self._kept) > OPEN:
            self.close()

    def close(self) -> None:
        opened = self._kept.popleft()
        try:
            heard = opened.recv(1 << 12)
            self.let_in += b"Socket-Type" in heard
            self.cut_off += not heard or not opened.recv(1)
        except BlockingIOError:
            pass
        except OSError:
            self.cut_off += 1
        zmtp.reset(opened)

    def close_all(self) -> None:
        while self._kept:
            self.close()


def main(host: str, port: int, count: int, rate: float) -> None:
    crowd, began = Crowd((host, port)), time.monotonic()
    for number in itertools.islice(itertools.count(), count):
        crowd.open(number)
        ahead_s = number / rate - (time.monotonic() - began)
        if ahead_s > 0.01:
            time.sleep(ahead_s)
    took_s = time.monotonic() - began
    crowd.close_all()
    done = {"let_in": crowd.let_in, "cut_off": crowd.cut_off, "refused": crowd.refused}
    print(json.dumps({**done, "took_s": took_s}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))

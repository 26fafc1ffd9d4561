"""An honest client that asks one thing after the other, and how long each answer takes."""

import itertools
import math
import time
from typing import NamedTuple

import zmq

from tests.attacks.zmtp import Place
from tests.faults.background import Background

PAUSE_S = 0.005
PATIENCE_S = 3.0  # Then it asks again, over a new connection.
EACH_CONNECTION = 50  # Requests: newcomers have to get in, too.


class Times(NamedTuple):
    """How long the answers took, in milliseconds, and how many requests had none."""

    p50_ms: float
    p99_ms: float
    answers: int
    lost: int

    def __str__(self) -> str:
        told = f"{self.p50_ms:.2f}/{self.p99_ms:.2f} ms"
        return f"{told}, {self.lost} of {self.answers + self.lost} lost" if self.lost else told


class Honest(Background):
    """Asks while its context lasts; `times` are those since the last call."""

    def __init__(self, place: Place, body: bytes) -> None:
        super().__init__()
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        self._address = f"tcp://{host}:{place[1]}"
        self._body = body
        self._taken_s: list[float] = []
        self._lost = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()

    def run(self) -> None:
        while not self.is_over.is_set():
            self._converse()

    def close(self) -> None:
        self._context.term()

    def times(self) -> Times:
        taken_s, self._taken_s = sorted(self._taken_s), []
        lost, self._lost = self._lost, 0
        return Times(_at(taken_s, 0.5), _at(taken_s, 0.99), len(taken_s), lost)

    def _converse(self) -> None:
        with self._context.socket(zmq.DEALER) as sock:
            sock.linger = 0
            sock.connect(self._address)
            for number in itertools.islice(itertools.count(), EACH_CONNECTION):
                if self.is_over.is_set():
                    return
                began = time.monotonic()
                sock.send_multipart([number.to_bytes(8), b"", self._body])
                if not sock.poll(int(1000 * PATIENCE_S)):
                    self._lost += 1
                    return
                sock.recv_multipart()
                self._taken_s.append(time.monotonic() - began)
                time.sleep(PAUSE_S)


def _at(taken_s: list[float], share: float) -> float:
    return 1000 * taken_s[int(share * len(taken_s))] if taken_s else math.inf

"""A DEALER that goes over to another address: the stand-in does what libzmq itself does."""

import errno
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
import zmq
from shoal.wire import sockets as product_sockets

from tests.integration.cluster import free_address
from tests.simulation.faults import sockets, threads
from tests.simulation.faults.connections import Net
from tests.simulation.faults.patterns import Dealer
from tests.simulation.faults.threads import Loop, Process
from tests.simulation.network import place

EVENTS = zmq.EVENT_CONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
WORDS = {int(zmq.EVENT_CONNECTED): "up", int(zmq.EVENT_DISCONNECTED): "ended"}
SIMULATED = [f"tcp://10.0.0.{number}:5000" for number in (1, 2, 3)]
WAIT_S = 0.2

# What is unread or unsent goes with the address that is left, and the monitor hears nothing of it.
EXPECTED = [
    ("up", "first"),
    "ENOENT",
    "unread is gone",
    ("up", "second"),
    "second got b'to second'",
    ("closed", "nobody"),
    ("up", "first"),
    "first got nothing",
]


class Script:
    """Moves a DEALER from one ROUTER to another one, to nobody, and back."""

    def __init__(self, context: Any, wait: Callable[[float], None], addresses: list[str]) -> None:
        self.told: list[Any] = []
        self._wait = wait
        self._names = dict(zip(addresses, ("first", "second", "nobody"), strict=True))
        self._routers = [context.socket(zmq.ROUTER) for _ in addresses[:2]]
        for router, address in zip(self._routers, addresses, strict=False):
            router.bind(address)
        self._dealer = context.socket(zmq.DEALER)
        self._dealer.setsockopt(zmq.RECONNECT_IVL, 10_000)
        self._dealer.setsockopt(zmq.LINGER, 0)  # Else what is unsent outlives `disconnect`.
        self._monitor = self._dealer.get_monitor_socket(int(EVENTS))
        self._addresses = addresses

    def run(self) -> None:
        first, second, nobody = self._addresses
        self._dealer.connect(first)
        self._dealer.send_multipart([b"to first"])
        self._listen()
        sender, _ = self._routers[0].recv_multipart()
        self._routers[0].send_multipart([sender, b"unread"])
        self._wait(WAIT_S)
        self._dealer.disconnect(first)
        with pytest.raises(zmq.ZMQError) as refused:
            self._dealer.disconnect(first)
        self.told.append(errno.errorcode[refused.value.errno or 0])
        self._dealer.connect(second)
        self._dealer.send_multipart([b"to second"])
        self._wait(WAIT_S)
        self.told.append("unread is there" if self._dealer.poll(0) else "unread is gone")
        self._listen()
        self.told.append(f"second got {self._routers[1].recv_multipart()[1]!r}")
        self._dealer.disconnect(second)
        self._dealer.connect(nobody)
        self._dealer.send_multipart([b"unsent"])
        self._listen()
        self._dealer.disconnect(nobody)
        self._dealer.connect(first)
        self._listen()
        has_mail = bool(self._routers[0].poll(0))
        self.told.append("first got something" if has_mail else "first got nothing")

    def close(self) -> None:
        self._dealer.disable_monitor()
        for each in (self._monitor, self._dealer, *self._routers):
            each.close(0)

    def _listen(self) -> None:
        """Note what the monitor has to tell after a while."""
        self._wait(WAIT_S)
        while self._monitor.poll(0):
            told, address = self._monitor.recv_multipart()
            number, _ = product_sockets.MONITOR.unpack(told)
            self.told.append((WORDS.get(number, "closed"), self._names[address.decode()]))


def test_libzmq_does_so() -> None:
    with zmq.Context() as context:
        script = Script(context, time.sleep, [free_address() for _ in range(3)])
        try:
            script.run()
        finally:
            script.close()
    assert script.told == EXPECTED


def test_the_stand_in_does_so_too() -> None:
    loop = Loop(random.Random(1))
    threads.begin(loop)
    assert sockets.KINDS[int(zmq.DEALER)] is Dealer
    net = Net(loop, random.Random(1), 0.0)
    sockets.begin(net)
    net.hosts = dict.fromkeys(SIMULATED, "host")
    net.places["host"] = place(1e9, 1e9, 0.001)
    told: list[Any] = []

    def work() -> None:
        script = Script(sockets.Context(), loop.pass_time, SIMULATED)
        script.told = told
        script.run()
        script.close()

    Process(loop, "host", 1).start(work)
    loop.run(10.0)
    assert [error for _, error in loop.crashed] == []
    assert told == EXPECTED

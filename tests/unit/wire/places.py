"""Free addresses, and waiting for what other threads do."""

import contextlib
import itertools
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import zmq
from shoal.protocol.keys import KeyPair
from shoal.wire import sockets
from zmq.utils import z85

LIMIT_S = 10.0
# Below 32768, where Linux begins to hand out ports: a DEALER could connect to itself there. Each
# process of a parallel run has its own, and those of tests/integration are above them.
_MINE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
_ports = itertools.cycle(range(14_000 + 1500 * _MINE, 15_500 + 1500 * _MINE))


def free_address() -> str:
    """Return `tcp://127.0.0.1:PORT` with a port that nobody uses now."""
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return f"tcp://127.0.0.1:{port}"
    raise AssertionError


def replier(context: "zmq.Context[zmq.Socket[bytes]]", address: str) -> "zmq.Socket[bytes]":
    """Return a REP there, which answers when the test does; raises OperatorError as `bind` does."""
    sock = context.socket(zmq.REP)
    sock.set_hwm(0)
    sockets.bind(sock, address)
    return sock


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def eventually(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait until `condition` holds; fail if it does not within the limit."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.005)


def bounds_of(port: int, option: int) -> list[int]:
    """Return the bounds of this process's connections from `port`."""
    bounds = []
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as one:
                    one.getpeername()
                    if one.family != socket.AF_UNIX and one.getsockname()[1] == port:
                        bounds.append(one.getsockopt(socket.IPPROTO_TCP, option))
    return bounds


def key_pair() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(z85.decode(public), z85.decode(secret))

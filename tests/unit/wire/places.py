"""Free addresses, and waiting for what other threads do."""

import itertools
import os
import socket
import time
from collections.abc import Callable

LIMIT_S = 10.0
# Below 32768, where Linux begins to hand out ports: a DEALER could connect to itself there. Each
# process of a parallel run begins elsewhere.
_ports = itertools.count(14_000 + os.getpid() % 500 * 20)


def free_address() -> str:
    """Return `tcp://127.0.0.1:PORT` with a port that nobody uses now."""
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return f"tcp://127.0.0.1:{port}"
    raise AssertionError


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def eventually(condition: Callable[[], object], limit_s: float = LIMIT_S) -> None:
    """Wait until `condition` holds; fail if it does not within the limit."""
    until = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.005)

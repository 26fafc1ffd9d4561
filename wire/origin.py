"""From which of this machine's addresses to connect. Opens no connection.

A tracker believes what a node says from the node's own address alone. A machine with several would
speak from the one that is nearest to the tracker.
"""

import socket

from shoal.protocol import addresses
from shoal.wire.host_names import HOST_NAMES


def of(address: str, listen: str | None) -> str:
    """Return from which address a node speaks: where it listens, if that is one address.

    `address` is the one that it announces. Host names are left if nobody knows them yet.
    """
    if listen is None or addresses.is_any(addresses.split(listen)[0]):
        return address
    return HOST_NAMES.best(listen)


def endpoint(address: str, source: str) -> str:
    """Return `address`, a number, as libzmq connects to it from the host of the address `source`.

    That is left out where it would not work: there is none, or it is a name, not this machine's, of
    another family than `address`, or loopback, from which no other machine is reached.
    """
    if not source:
        return address
    (host, _), (target, _) = addresses.split(source), addresses.split(address)
    is_v6 = ":" in host
    if addresses.is_any(host) or addresses.is_loopback(host) > addresses.is_loopback(target):
        return address
    if is_v6 != (":" in target) or not _is_ours(host, is_v6=is_v6):
        return address
    place = f"[{host}]" if is_v6 else host
    return f"tcp://{place}:0;{address.removeprefix('tcp://')}"


def _is_ours(host: str, *, is_v6: bool) -> bool:
    if addresses.ip(host) is None:
        return False
    try:
        with socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET) as trial:
            trial.bind((host, 0))
    except OSError:
        return False
    return True

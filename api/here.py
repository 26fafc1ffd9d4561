"""Whether an address belongs to this machine. Makes no connections."""

import errno
import os
import socket
from pathlib import Path

from shoal.config.cluster import Cluster, NodeEntry
from shoal.protocol.addresses import is_loopback, split
from shoal.protocol.errors import OperatorError
from shoal.protocol.names import display
from shoal.wire import control_socket


def is_here(address: str) -> bool:
    """Say whether an address belongs to this machine, that is, whether it can be bound."""
    return not _problems(address)


def require_here(entry: NodeEntry, cluster_file: Path) -> None:
    """Raise OperatorError if it is clear that a node belongs on another machine.

    It is not clear for a loopback address, for a name that cannot be resolved, and for one with
    any address of this machine. A node that takes orders here is here.
    """
    problems = _problems(entry.address)
    if not problems or any(problem != errno.EADDRNOTAVAIL for problem in problems):
        return
    if control_socket.takes_orders(entry.folder):
        return
    host, _ = split(entry.address)
    message = f"node {entry.name} is on another machine: {host} is not an address of this one"
    remedy = f"run this command there, or correct the address in {display(str(cluster_file))}"
    raise OperatorError(f"{message}; {remedy}")


def require_apart(entry: NodeEntry, cluster: Cluster) -> None:
    """Raise OperatorError if links put a node's folder inside that of another node here.

    The paths themselves are compared when the cluster file is read.
    """
    machine, folder = _machine(entry), Path(os.path.realpath(entry.folder))
    for other in cluster.nodes.values():
        if other.name == entry.name or _machine(other) != machine:
            continue
        place = Path(os.path.realpath(other.folder))
        if folder.is_relative_to(place) or place.is_relative_to(folder):
            both = f"the folders of {entry.name} and {other.name}"
            message = f"{both} are inside one another, through a link: {folder} and {place}"
            raise OperatorError(f"{message}; change one of them in {display(str(cluster.path))}")


def _machine(entry: NodeEntry) -> str:
    host, _ = split(entry.address)
    return "" if is_loopback(host) else host


def _problems(address: str) -> list[int]:
    """Return why no address that `address` resolves to can be bound; empty if one can be."""
    host, _ = split(address)
    if is_loopback(host):
        return []
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return [0]
    problems = []
    for family, kind, number, _, place in found:
        try:
            with socket.socket(family, kind, number) as probe:
                probe.bind(place)
        except OSError as error:
            problems.append(error.errno or 0)
        else:
            return []
    return problems

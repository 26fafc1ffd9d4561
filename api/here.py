"""Whether an address belongs to this machine. Makes no connections."""

import errno
import os
import socket
from pathlib import Path

from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.config.document import listed, shown
from shoal.protocol.addresses import is_any, is_loopback, split
from shoal.protocol.errors import OperatorError, UnavailableError
from shoal.protocol.names import display
from shoal.wire import control_socket
from shoal.wire.host_names import HOST_NAMES, HostNameError


def is_here(address: str) -> bool:
    """Say whether an address belongs to this machine, that is, whether it can be bound."""
    return not _problems(address)


def has_place_here(entry: NodeEntry | TrackerEntry) -> bool:
    """Say whether a process of the cluster file belongs on this machine.

    One that listens on all addresses of its machine is where its address is, as far as can be told:
    behind NAT or in a container no machine has that.
    """
    return is_here(entry.address if _is_anywhere(entry) else entry.bound_to)


def _is_anywhere(entry: NodeEntry | TrackerEntry) -> bool:
    return is_any(split(entry.bound_to)[0])


def require_here(entry: NodeEntry, cluster_file: Path) -> None:
    """Raise UnavailableError if it is clear that a node belongs on another machine.

    It is not clear for a loopback address, for a name that cannot be resolved, for one with any
    address of this machine, and for one that listens on all addresses. A node that takes orders
    here is here. So is a reader, which has no address.
    """
    if not entry.serves or _is_anywhere(entry):
        return
    problems = _problems(entry.bound_to)
    if not problems or any(problem != errno.EADDRNOTAVAIL for problem in problems):
        return
    if control_socket.takes_orders(entry.home):
        return
    host, _ = split(entry.bound_to)
    message = f"node {entry.name} is on another machine: {host} is not an address of this one"
    remedy = f"run this command there, or correct the address in {display(str(cluster_file))}"
    if entry.listen is None:
        remedy += "; behind NAT or in a container, add `listen`"
    raise UnavailableError(f"{message}; {remedy}")


def only_node_here(cluster: Cluster, way: str) -> NodeEntry:
    """Return the node of a cluster that has an address of this machine, if exactly one does.

    Args:
        cluster: whose nodes; those with a host name that cannot be resolved are elsewhere.
        way: how a node is named instead, as in `--as NAME`.

    Raises:
        OperatorError: none does, or several do; it names them.
    """
    for entry in cluster.nodes.values():
        HOST_NAMES.known(split(entry.address)[0])  # Begins the look-ups, to run side by side.
    here = [entry.name for entry in cluster.nodes.values() if has_place_here(entry)]
    if len(here) == 1:
        return cluster.nodes[here[0]]
    place = display(str(cluster.path))
    if here:
        message = f"{len(here)} nodes of {place} are on this machine: {listed(here)}"
        raise OperatorError(f"{message}; name one of them ({way})")
    message = f"no node of {place} has an address of this machine"
    remedy = f"run this on the machine of one, or name it ({way})"
    raise OperatorError(f"{message}; {remedy}: {listed(list(cluster.nodes))}")


def tracker_here(cluster: Cluster, at: str | None = None) -> TrackerEntry:
    """Return the tracker `at` an address; by default the only one, or the one on this machine.

    Raises:
        OperatorError: there is none there; or none of several is here, or more than one.
    """
    place, every = display(str(cluster.path)), ", ".join(cluster.tracker_addresses)
    if at is not None:
        found = [entry for entry in cluster.trackers if entry.address == at]
        if not found:
            raise OperatorError(f"--at: {place} has no tracker at {shown(at)}; expected {every}")
        return found[0]
    if len(cluster.trackers) == 1:
        return cluster.trackers[0]
    here = [entry for entry in cluster.trackers if has_place_here(entry)]
    if len(here) == 1:
        return here[0]
    if here:
        every = ", ".join(entry.address for entry in here)
        message = f"{len(here)} trackers of {place} are on this machine"
        raise OperatorError(f"{message}; name one of them (--at ADDRESS): {every}")
    message = f"no tracker of {place} has an address of this machine"
    raise OperatorError(f"{message}; run this on the machine of one, or name it (--at): {every}")


def require_apart(entry: NodeEntry, cluster: Cluster) -> None:
    """Raise OperatorError if links put a node's folder inside that of another node here.

    The paths themselves are compared when the cluster file is read.
    """
    for other in cluster.nodes.values():
        if other.name == entry.name or not _are_on_one_machine(entry, other):
            continue
        folder, place = _overlap(entry, other) or ("", "")
        if folder:
            both = f"the folders of {entry.name} and {other.name}"
            how = ", through a link" if entry.serves else ""
            message = f"{both} are inside one another{how}: {folder} and {place}"
            raise OperatorError(f"{message}; change one of them in {display(str(cluster.path))}")


def _overlap(entry: NodeEntry, other: NodeEntry) -> tuple[Path, Path] | None:
    """Return a folder of each, if one is inside the other."""
    for mine in {entry.folder, entry.home}:
        for theirs in {other.folder, other.home}:
            folder, place = Path(os.path.realpath(mine)), Path(os.path.realpath(theirs))
            if folder.is_relative_to(place) or place.is_relative_to(folder):
                return folder, place
    return None


def _are_on_one_machine(entry: NodeEntry, other: NodeEntry) -> bool:
    if not entry.serves:
        return has_place_here(other)
    machine = _machine(entry)
    return machine is not None and _machine(other) == machine


def _machine(entry: NodeEntry) -> str | None:
    """Return what two nodes on one machine have in common; None if that cannot be told.

    Behind NAT machines have one address.
    """
    host, _ = split(entry.address)
    if is_loopback(host):
        return ""
    return host if entry.listen is None else None


def _problems(address: str) -> list[int]:
    """Return why no address that `address` resolves to can be bound; empty if one can be."""
    host, _ = split(address)
    if is_loopback(host):
        return []
    try:
        found = HOST_NAMES.wait_for_all(host)
    except HostNameError:
        return [0]
    problems = []
    for numbers in found:
        family = socket.AF_INET6 if ":" in numbers else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((numbers, 0))
        except OSError as error:
            problems.append(error.errno or 0)
        else:
            return []
    return problems

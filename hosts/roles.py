"""The processes of a cluster, and the hosts on which they run."""

from collections.abc import Mapping
from typing import NamedTuple

from shoal.config.cluster import Cluster, node_named
from shoal.config.document import choices
from shoal.protocol import addresses
from shoal.protocol.errors import OperatorError

TRACKER = "tracker"
ALL = "all"


class Role(NamedTuple):
    """The tracker or a node, and the host on which it runs."""

    name: str
    host: str  # as ssh takes it
    words: tuple[str, ...]  # of the shoal command that runs it


def tracker_role(cluster: Cluster, hosts: Mapping[str, str]) -> Role:
    """Return the tracker's role; `hosts` are those that ssh finds at other names, by role."""
    address = cluster.tracker.address
    return Role(TRACKER, hosts.get(TRACKER, _host_of(address)), (TRACKER,))


def chosen_roles(cluster: Cluster, on: str | None, hosts: Mapping[str, str]) -> list[Role]:
    """Return the roles named in `on`, as in `tracker,n1`; by default the tracker and all nodes.

    Raises:
        OperatorError: `on` or `hosts` names something that the cluster file does not.
    """
    if TRACKER in cluster.nodes:
        message = f"{cluster.path}: a node is called {TRACKER}, as the tracker is"
        raise OperatorError(f"{message}; give the node another name")
    every = {TRACKER: tracker_role(cluster, hosts)} | {
        name: Role(name, hosts.get(name, _host_of(entry.address)), ("node", name))
        for name, entry in cluster.nodes.items()
    }
    chosen = [ALL] if on is None else [name.strip() for name in on.split(",") if name.strip()]
    if not chosen:
        raise OperatorError(f"--on names nobody; {choices('', every)}")
    for name in [*chosen, *hosts]:
        if name not in {*every, ALL}:
            node_named(cluster, name)  # Raises: it says which nodes there are.
    return [role for name, role in every.items() if name in chosen or ALL in chosen]


def _host_of(address: str) -> str:
    return addresses.split(address)[0]

"""The processes of a cluster, and the hosts on which they run."""

from collections.abc import Mapping
from typing import NamedTuple

from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry, node_named
from shoal.config.document import choices
from shoal.protocol import addresses
from shoal.protocol.errors import OperatorError

TRACKER = "tracker"
ALL = "all"


class Role(NamedTuple):
    """A tracker or a node, and the host on which it runs."""

    name: str
    host: str  # as ssh takes it
    words: tuple[str, ...]  # of the shoal command that runs it

    @property
    def is_tracker(self) -> bool:
        return self.words[0] == TRACKER

    @property
    def key_name(self) -> str:
        """Whose key it has: that of all trackers is one."""
        return TRACKER if self.is_tracker else self.name


def entry_of(cluster: Cluster, role: Role) -> TrackerEntry | NodeEntry:
    """Return what the cluster file says of a role."""
    return _trackers(cluster)[role.name] if role.is_tracker else cluster.nodes[role.name]


def tracker_roles(cluster: Cluster, hosts: Mapping[str, str]) -> dict[str, Role]:
    """Return the roles of all trackers by name: `tracker`, or `tracker-1` and so on of several.

    `hosts` are those that ssh finds at other names, by role.
    """
    every = _trackers(cluster)
    return {
        name: Role(
            name,
            hosts.get(name, _host_of(entry.address)),
            (TRACKER, "--at", entry.address) if len(every) > 1 else (TRACKER,),
        )
        for name, entry in every.items()
    }


def chosen_roles(cluster: Cluster, on: str | None, hosts: Mapping[str, str]) -> list[Role]:
    """Return the roles named in `on`, as in `tracker,n1`; by default the trackers and all nodes.

    Raises:
        OperatorError: `on` or `hosts` names something that the cluster file does not.
    """
    trackers = tracker_roles(cluster, hosts)
    for name in (TRACKER, *trackers):
        if name in cluster.nodes:
            message = f"{cluster.path}: a node is called {name}, as the tracker is"
            raise OperatorError(f"{message}; give the node another name")
    every = trackers | {
        name: Role(name, hosts.get(name, _host_of(entry.address)), ("node", name))
        for name, entry in cluster.nodes.items()
    }
    chosen = [ALL] if on is None else [name.strip() for name in on.split(",") if name.strip()]
    if not chosen:
        raise OperatorError(f"--on names nobody; {choices('', every)}")
    for name in [*chosen, *hosts]:
        if name not in {*every, ALL} and not (name == TRACKER and name in chosen):
            node_named(cluster, name)  # Raises: it says which nodes there are.
    return [
        role
        for name, role in every.items()
        if name in chosen or ALL in chosen or role.key_name in chosen
    ]


def _trackers(cluster: Cluster) -> dict[str, TrackerEntry]:
    if len(cluster.trackers) == 1:
        return {TRACKER: cluster.trackers[0]}
    return {f"{TRACKER}-{number}": one for number, one in enumerate(cluster.trackers, 1)}


def _host_of(address: str) -> str:
    return addresses.split(address)[0]

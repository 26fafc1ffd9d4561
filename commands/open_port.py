"""A warning: a port that everybody on the network can reach, and nobody has to have a key."""

import logging

from shoal.config.cluster import Cluster, NodeEntry, TrackerEntry
from shoal.protocol.addresses import is_any, is_loopback, split
from shoal.protocol.names import display

log = logging.getLogger("shoal.security")


def listening(entry: NodeEntry | TrackerEntry) -> str:
    """Return the address of a process, and where it listens if that is elsewhere."""
    return (
        entry.address if entry.listen is None else f"{entry.address}, listening on {entry.listen}"
    )


def warn_of_open_port(cluster: Cluster, address: str, may: str) -> None:
    """Log what anybody `may` do where this process listens, if the cluster has no keys."""
    host, port = split(address)
    if cluster.keys is None and not is_loopback(host):
        who = (
            f"anybody who can reach port {port} of {'this machine' if is_any(host) else host} {may}"
        )
        place = display(str(cluster.path))
        log.warning("%s: %s has no keys; run `shoal keys --config %s`", who, place, place)

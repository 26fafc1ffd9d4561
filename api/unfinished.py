"""What interrupted fetches have left on this machine."""

from shoal.api.folders import writable_of
from shoal.config.cluster import Cluster
from shoal.node.staging.remains import Remain, found


def unfinished(cluster: Cluster) -> dict[str, list[Remain]]:
    """Return what fetches have left, or are filling, in the folders of nodes and readers here.

    Asks no node; it looks into the folders.

    Args:
        cluster: the nodes, and their folders.

    Returns:
        By name, with the size in bytes and the age in seconds of each; nobody without any.
    """
    folders = {name: writable_of(entry) for name, entry in cluster.nodes.items()}
    if cluster.keys is not None:
        folders |= {name: entry.folder for name, entry in cluster.keys.readers.items()}
    remains = {name: found(folder) for name, folder in folders.items()}
    return {name: left for name, left in remains.items() if left}

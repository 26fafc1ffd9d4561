"""What interrupted fetches have left on this machine."""

from shoal.config.cluster import Cluster
from shoal.node.staging.remains import Remain, found


def unfinished(cluster: Cluster) -> dict[str, list[Remain]]:
    """Return what fetches have left, or are filling, in the folders of nodes on this machine.

    Asks no node; it looks into the folders.

    Args:
        cluster: the nodes, and their folders.

    Returns:
        By node, with the size in bytes and the age in seconds of each; no node without any.
    """
    remains = {name: found(entry.folder) for name, entry in cluster.nodes.items()}
    return {name: left for name, left in remains.items() if left}

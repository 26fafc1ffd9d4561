"""What only admins may do; the key is an admin's whose secret is beside the cluster file."""

from shoal.api.asking import ask, trackers_of
from shoal.config.cluster import Cluster
from shoal.config.keys import NoSecretError, own_pair
from shoal.protocol.errors import TrackerError
from shoal.protocol.keyring import Towards
from shoal.protocol.messages import Ok
from shoal.protocol.permits import Publish
from shoal.protocol.pushing import Allow


def towards_as_admin(cluster: Cluster) -> Towards | None:
    """Return how an admin speaks to the tracker; None without keys, or an admin's secret here.

    Raises:
        OperatorError: a secret is readable for others, or another one's.
    """
    if cluster.keys is None:
        return None
    for name in cluster.keys.admins:
        try:
            return Towards(own_pair(cluster, name), cluster.keys.tracker, name)
        except NoSecretError:
            continue
    return None


def let_publish(cluster: Cluster, name: str, node: str, *, is_new: bool) -> None:
    """Let a node publish under a name, if it needs that and an admin's secret is here.

    Args:
        cluster: whose tracker to tell.
        name: the name.
        node: the node.
        is_new: whether nobody is known to have published anything under that name.

    Raises:
        NotAllowedError: the tracker no longer knows the admin.
        OperatorError: as `towards_as_admin`.
    """
    if cluster.keys is None or cluster.keys.publish is Publish.MEMBERS:
        return
    if is_new and cluster.keys.publish is Publish.FIRST:
        return
    towards = towards_as_admin(cluster)
    if towards is None:
        return  # The node may be allowed to all the same; else the tracker will say so.
    try:
        ask(trackers_of(cluster, node), Allow(name, node), Ok, towards)
    except TrackerError:
        return  # What is shared is announced later, when it answers.

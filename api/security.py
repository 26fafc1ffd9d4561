"""With which keys this process speaks to others; none, if the cluster file has none."""

from shoal.config.cluster import Cluster
from shoal.config.keys import NoSecretError, asking_pair, own_pair
from shoal.config.security import TRACKER, Keys
from shoal.protocol.keyring import Keyring, Towards
from shoal.protocol.keys import KeyPair
from shoal.protocol.permits import Role, Who


def ring_of(cluster: Cluster, name: str) -> Keyring | None:
    """Return the key ring of a node or the `tracker`; None if the cluster has no keys.

    Raises:
        OperatorError: its secret is missing, readable for others, or another one's.
    """
    if cluster.keys is None:
        return None
    ring = Keyring(name, own_pair(cluster, name))
    fill(ring, cluster.keys)
    return ring


def fill(ring: Keyring, known: Keys) -> None:
    """Have a process go by the keys of a cluster file.

    The tracker's host may have no other secret than the tracker's, with which it may ask the
    tracker. No node lets it in: the files are none of its business.
    """
    table = known.table()
    if ring.name == TRACKER:
        table[known.tracker] = Who(TRACKER, Role.READER)
    ring.replace(known.tracker, known.nodes, table)


def asking_ring(cluster: Cluster, as_name: str | None = None) -> Keyring | None:
    """Return the key ring of a command that only asks: as `as_name`, or anybody it may be.

    Raises:
        OperatorError: no secret is here that can be used.
    """
    if cluster.keys is None:
        return None
    try:
        own = asking_pair(cluster, as_name)
    except NoSecretError as error:
        if as_name is not None:
            raise
        own = _tracker_pair(cluster, error)
    who = cluster.keys.table().get(own.public)
    ring = Keyring(TRACKER if who is None else who.name, own)
    fill(ring, cluster.keys)
    return ring


def _tracker_pair(cluster: Cluster, error: NoSecretError) -> KeyPair:
    try:
        return own_pair(cluster, TRACKER)
    except NoSecretError:
        raise error from None


def towards_tracker(cluster: Cluster, as_name: str | None = None) -> Towards | None:
    """Return how a command that only asks speaks to the tracker; None without keys.

    Raises:
        OperatorError: as `asking_ring`.
    """
    ring = asking_ring(cluster, as_name)
    return None if ring is None else ring.towards_tracker()

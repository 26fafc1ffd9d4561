"""SIGHUP to a tracker or a node: it reads the cluster file again, and goes by its keys and nodes.

A file that is damaged now changes nothing. What can only change with a restart is named.
"""

import logging
from collections.abc import Callable

from shoal.api.security import fill
from shoal.config import cluster as cluster_file
from shoal.config.cluster import Cluster
from shoal.protocol.errors import OperatorError
from shoal.protocol.keyring import Keyring
from shoal.protocol.names import display

Fixed = dict[str, object]


class Reloading:
    """What one process does when it is told to; call it from one thread."""

    def __init__(
        self,
        log: logging.Logger,
        cluster: Cluster,
        ring: Keyring | None,
        fixed: Callable[[Cluster], Fixed],
        take: Callable[[Cluster], None],
    ) -> None:
        """Say in `log` what has changed since `cluster` was read.

        Args:
            log: the process's.
            cluster: what it has gone by so far.
            ring: the keys that it uses, None if there are none.
            fixed: returns what a restart is needed for, by its name for people.
            take: called with what it goes by from now on, besides the keys.
        """
        self._log = log
        self._cluster = cluster
        self._ring = ring
        self._fixed = fixed
        self._fixed_before = fixed(cluster)
        self._take = take

    def __call__(self) -> None:
        """Read the cluster file again."""
        place = display(str(self._cluster.path))
        try:
            cluster = cluster_file.load(self._cluster.path)
        except OperatorError as error:
            self._log.error("%s; nothing has changed, mend it and send SIGHUP again", error)
            return
        if (cluster.keys is None) != (self._ring is None):
            self._log.error(
                "%s: keys cannot be put in or taken out while this runs; nothing has changed, "
                "restart the tracker and all nodes",
                place,
            )
            return
        if self._ring is not None and cluster.keys is not None:
            fill(self._ring, cluster.keys)
        self._take(cluster)
        self._log.info("%s was read again%s", place, _changes(self._cluster, cluster))
        self._cluster = cluster
        fixed = self._fixed(cluster)
        changed = [name for name, value in fixed.items() if value != self._fixed_before[name]]
        if changed:
            what = ", ".join(changed)
            self._log.warning("%s: restart this to have another value of: %s", place, what)


def _changes(old: Cluster, new: Cluster) -> str:
    """Return who belongs to the cluster now, and who does no longer, as the end of a sentence."""
    before, after = _known(old), _known(new)
    added = sorted(display(str(name)) for name, _ in after - before)
    gone = sorted(display(str(name)) for name, _ in before - after)
    parts = [f"let in: {', '.join(added)}"] if added else []
    parts += [f"no longer let in: {', '.join(gone)}"] if gone else []
    return "; " + "; ".join(parts) if parts else ""


def _known(cluster: Cluster) -> set[tuple[str, object]]:
    """Return everybody who is let in, with what lets them in."""
    if cluster.keys is None:
        return {(name, entry.address) for name, entry in cluster.nodes.items()}
    return {(who.name, (who.role, key)) for key, who in cluster.keys.table().items()}

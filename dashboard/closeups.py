"""What open pages show in detail: asks the tracker for verdicts, and holders for their chunks."""

from collections.abc import Mapping
from typing import Any

import zmq
from shoal.api import push
from shoal.api.asking import Line
from shoal.config.cluster import Cluster
from shoal.dashboard import details
from shoal.dashboard.details import NODE, THING
from shoal.dashboard.partials import MOST_NODES, Partials
from shoal.dashboard.picture import Rows, of_key
from shoal.protocol.addresses import may_be_holder
from shoal.protocol.errors import NotFoundError
from shoal.protocol.keyring import Keyring
from shoal.protocol.messages import File
from shoal.protocol.pushing import Verdict

MOST_THINGS = 4  # Whose holders are asked for their chunks; of others the page shows how much.


class Closeups:
    """All of them. Belongs to one thread; close it in the end."""

    def __init__(self, cluster: Cluster, ring: Keyring | None) -> None:
        """`ring` has our keys and those of the nodes; None if the cluster file has none."""
        self._cluster = cluster
        self._ring = ring
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, MOST_THINGS * MOST_NODES + 10)
        self._partials: dict[str, Partials] = {}

    def close(self) -> None:
        self.keep(frozenset())
        self._context.term()

    def keep(self, topics: frozenset[str]) -> None:
        """Forget the topics at which nobody looks any more."""
        for topic in [*self._partials]:
            if topic not in topics:
                self._partials.pop(topic).close()

    def of(
        self, topic: str, line: Line, files: Mapping[str, File], rows: Mapping[str, Rows]
    ) -> Rows:
        """Return the rows of a topic: of a thing its holders, of a node what it holds.

        Args:
            topic: `thing:` and a key of `things`, or `node:` and a name.
            line: to the tracker.
            files: the tracker's listing, by key.
            rows: of the nodes and pushes.

        Raises:
            OperatorError: the tracker does not answer, or not sensibly.
        """
        if topic.startswith(NODE):
            return details.holdings(topic.removeprefix(NODE), files)
        key = topic.removeprefix(THING)
        verdicts = self._verdicts(key, line, rows["pushes"])
        found = details.holders(key, files, rows["nodes"], verdicts)
        partials = self._partials_of(topic, key)
        if partials is None:
            return found
        partials.ask(self._addresses(details.partial(found), rows["nodes"]))
        return details.with_chunks(found, partials.told)

    @staticmethod
    def _verdicts(key: str, line: Line, pushes: Rows) -> list[Verdict]:
        name, content_id = of_key(key)
        if name not in pushes or pushes[name]["id"] != content_id:
            return []
        try:
            state = push.state_of_push(line, name)
        except NotFoundError:  # It has been cancelled meanwhile.
            return []
        return list(state.verdicts) if state.content.id == content_id else []

    def _partials_of(self, topic: str, key: str) -> Partials | None:
        name, content_id = of_key(key)
        if topic not in self._partials and content_id is not None:
            if len(self._partials) >= MOST_THINGS:
                return None
            self._partials[topic] = Partials(self._context, name, content_id, self._ring)
        return self._partials.get(topic)

    def _addresses(self, nodes: list[str], rows: Mapping[str, Any]) -> dict[str, str]:
        """Return where those are that may be asked: a tracker's word may lead anywhere."""
        trackers = self._cluster.tracker_addresses
        listed = {name: entry.address for name, entry in self._cluster.nodes.items()}
        told = {node: rows[node]["address"] for node in nodes if node in rows}
        return {
            node: address
            for node, address in told.items()
            if may_be_holder(address, trackers, listed.get(node))
        }

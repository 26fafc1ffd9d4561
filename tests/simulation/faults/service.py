"""Which tracker serves whom, and since when; and that everybody is served who can be."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from shoal.protocol.trackers import Trackers

from tests.simulation.faults.hosts import NodeHost
from tests.simulation.faults.sharer import SharingTracker
from tests.simulation.faults.trace import Finding

if TYPE_CHECKING:
    from shoal.node.agent import Agent

    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.several import Several

WATCH_S = 0.1
HEARD_S = 20.0  # A node that waits for its tracker tries again within 15 s, then asks the others.
SURE_S = 25.0  # So long a lease lasts for certain.


class Service:
    """Looks again and again at who can be reached."""

    def __init__(self, cluster: "Cluster", several: "Several") -> None:
        self._cluster = cluster
        self._several = several
        self._silent_at: dict[tuple[str, str], float] = {}  # By tracker and asker: last so, …
        self._refused_at: dict[tuple[str, str], float] = {}  # … or not there at all.
        self._idle_at: dict[str, float] = {}  # When a node last did not run.

    def watch(self) -> None:
        """Note who does not serve whom."""
        loop, several = self._cluster.loop, self._several
        for name, node in self._cluster.nodes.items():
            if node.agent is None or node.process is None or node.process.is_paused:
                self._idle_at[name] = loop.now
        for host in several.hosts:
            for asker in (*self._cluster.nodes, several.probe.host):
                self._note(host, asker, loop.now)
        loop.at(loop.now + WATCH_S, self.watch)

    def ended(self, host: SharingTracker) -> None:
        """Note that a tracker ends: it may be back before `watch` looks.

        Whoever waited for its answer has lost the connection, as with one that stays away.
        """
        now = self._cluster.loop.now
        for asker in (*self._cluster.nodes, self._several.probe.host):
            self._refused_at[host.name, asker] = now

    def silent_since(self, asker: str, time: float, hosts: Iterable[SharingTracker]) -> int:
        """Return how many of these have kept somebody waiting, perhaps, since then."""
        return sum(self._silent_at.get((one.name, asker), -math.inf) >= time for one in hosts)

    def bad_since(self, asker: str, time: float, hosts: Iterable[SharingTracker]) -> int:
        """Return how many of these have not served somebody all the time since then."""
        return sum(self._bad_at(one.name, asker) >= time for one in hosts)

    def look(self) -> None:
        """Require that each node is heard that can reach a tracker, and keeps its lease there."""
        for name, node in self._cluster.nodes.items():
            self._require_heard(name, node)
        for host in self._several.hosts:
            if host.is_even:
                self._require_leases(host)

    def _note(self, host: SharingTracker, asker: str, now: float) -> None:
        net, process = self._cluster.net, host.process
        is_cut = net.is_cut(host.name, asker) or net.is_cut(asker, host.name)
        is_bound = host.address in net.bound
        runs = host.tracker is not None and process is not None and not process.is_paused
        if is_cut or (is_bound and not runs):
            self._silent_at[host.name, asker] = now
        elif not is_bound:
            self._refused_at[host.name, asker] = now

    def _bad_at(self, host: str, asker: str) -> float:
        each = self._silent_at, self._refused_at
        return max(times.get((host, asker), -math.inf) for times in each)

    def _require_heard(self, name: str, node: NodeHost) -> None:
        now = self._cluster.loop.now
        since = max(now - HEARD_S, 0.0)
        if node.agent is None or since == 0.0 or self._idle_at.get(name, 0.0) >= since:
            return
        asked = trackers_of(node.agent).addresses
        served = [host for host in self._several.hosts if self._bad_at(host.name, name) < since]
        if not any(host.address in asked for host in served):
            return
        last = self._several.answered.get(name, 0.0) - self._cluster.clock() + now
        if last < since:
            text = f"{name} was heard by no tracker for {now - last:.1f} s, and could be"
            raise Finding("failover", text)

    def _require_leases(self, host: SharingTracker) -> None:
        assert host.tracker is not None
        members, now = host.tracker._state.members, self._cluster.clock()
        for node, at in host.tracker._sharing._here.items():
            member = members.find(node)
            if member is not None and now - at < SURE_S and not (member.has_lease or member.left):
                raise Finding("expired", f"{host.name} takes {node} for silent, which it heard")


def trackers_of(agent: "Agent") -> Trackers:
    """Return the trackers that a node knows."""
    return agent._session._trackers

"""Sharing by link: the command's own code, in the node's process, as a session runs it."""

from shoal.api.local_node import OnProgress, ignore
from shoal.api.share import ShareOptions, share
from shoal.config.cluster import Cluster as ClusterFile
from shoal.config.cluster import NodeEntry, TrackerEntry
from shoal.node.agent import Agent
from shoal.protocol.control import Report, Sharing, Task

from tests.simulation.faults import content
from tests.simulation.faults.content import put
from tests.simulation.faults.hosts import TRACKER_ADDRESS
from tests.simulation.faults.outside import Place
from tests.simulation.faults.users import User
from tests.unit.node.sample_trees import Items

AGAIN_S = (1.0, 4.0)
TRIES = 4


class Here:
    """A node on this machine, to give orders to."""

    def __init__(self, user: User, agent: Agent) -> None:
        self.cluster = cluster_file(user)
        self.entry = self.cluster.nodes[user.host.name]
        self._agent = agent

    def check(self) -> None:
        """Nobody interrupts it."""

    def carry_out(self, order: Task, on_progress: OnProgress = ignore) -> Report:
        return self._agent.carry_out(order, on_progress)


def cluster_file(user: User) -> ClusterFile:
    """Return what the cluster file says."""
    host = user.host
    trackers = (TrackerEntry(TRACKER_ADDRESS, host.folder),)
    entry = NodeEntry(
        host.name,
        host.address,
        host.folder,
        state_folder=host.state_folder,
        read_only=host.read_only,
    )
    return ClusterFile(host.folder / "lab.yaml", trackers, {host.name: entry}, {})


def link(user: User, name: str, items: Items) -> None:
    """Put something outside of the user's folder, and share it from there."""
    path = user.new_place(name)
    put(path, items)
    user._cluster.archive.add(content.described(name, path, items))
    share_from(user, user._cluster.outside.put(user.host.name, name, path))


def share_from(user: User, place: Place) -> None:
    """Share it, however often that takes."""
    options = ShareOptions(link=True, force=user._rng.random() < 0.3)
    for _ in range(TRIES):
        outcome = user.do(lambda agent: share(Here(user, agent), place.path, options).sharing)
        if isinstance(outcome, Sharing):
            user._cluster.hits["shared by link"] += 1
            return
        if user._cluster.is_calm or place not in user._cluster.outside.places:
            return
        user._cluster.loop.pass_time(user._rng.uniform(*AGAIN_S))

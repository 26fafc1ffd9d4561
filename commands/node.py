"""`shoal node`: runs a node, which serves its folder, announces it and takes orders."""

import functools
import logging
import threading
from typing import NamedTuple

import msgspec
from shoal.api.folders import identity_of, listed_in, rate_limits, take_folder, writable_of
from shoal.commands import logs
from shoal.commands.exit_codes import ExitCode
from shoal.commands.logs import LogWishes
from shoal.commands.open_port import listening, warn_of_open_port
from shoal.commands.reloading import Fixed, Reloading
from shoal.commands.stopping import Stopper
from shoal.commands.supervised import Supervised
from shoal.commands.thread_guard import ThreadGuard
from shoal.commands.watched import place_of, watched
from shoal.config.cluster import Cluster, NodeEntry
from shoal.config.limits import NodeLimits
from shoal.node.agent import Agent
from shoal.node.network.control_server import ControlServer
from shoal.node.staging.linking import place_link
from shoal.protocol.errors import Kind, OperatorError
from shoal.protocol.names import display
from shoal.protocol.rates import Timetable
from shoal.system import descriptors
from shoal.system.memory import keep_freed_memory
from shoal.system.supervisor import Supervisor

log = logging.getLogger("shoal.node")


class Given(NamedTuple):
    """What the command line says of a node, whatever the cluster file says."""

    limit: Timetable | None = None
    metrics: str | None = None  # Where to serve them.
    log: LogWishes = LogWishes()
    background: bool = False

    def over(self, limits: NodeLimits) -> NodeLimits:
        """Return the limits of the cluster file, with these instead where they are given."""
        if self.limit is not None:
            limits = msgspec.structs.replace(limits, up=self.limit, down=self.limit)
        return msgspec.structs.replace(limits, background=self.background or limits.background)


def run_node(cluster: Cluster, entry: NodeEntry, given: Given = Given()) -> ExitCode:  # noqa: B008 (immutable)
    """Run a node until a signal stops it.

    Raises:
        OperatorError: its folder or its address is taken, or cannot be used.
    """
    logs.set_up(given.log)
    keep_freed_memory()
    descriptors.raise_limit()
    place = place_of(given.metrics, entry.metrics)
    entry = msgspec.structs.replace(entry, limits=given.over(entry.limits))
    agent = _agent_of(cluster, entry)
    orders = ControlServer(agent, agent.identity.home)
    agent.condition.pulses["orders"] = orders.pulse

    supervised = Supervised(Supervisor(), agent.condition)

    def on_stop(kind: Kind) -> None:
        supervised.stopping()
        agent.cancel_all(kind)
        orders.stop()

    parts = functools.partial(_fixed, entry.name), functools.partial(_take, agent, given)
    reload = Reloading(log, cluster, agent.identity.ring, *parts)
    Stopper(on_stop, supervised.reloading(reload))
    with ThreadGuard(on_stop):
        try:
            with watched(place, agent.condition):
                agent.start()
                log.info("node %s serves %s at %s", entry.name, entry.folder, listening(entry))
                warn_of_open_port(cluster, entry.bound_to, f"can read {entry.folder}")
                _begin_to_greet(cluster, entry, agent)
                with supervised:
                    orders.run()
        finally:
            agent.stop()
    log.info("node %s has stopped", entry.name)
    return ExitCode.DONE


def _agent_of(cluster: Cluster, entry: NodeEntry) -> Agent:
    """Return a node that has not started, and will serve what the file says that lies elsewhere."""
    agent = Agent(identity_of(cluster, entry), take_folder(entry))
    for path in entry.links:
        try:
            place_link(path, writable_of(entry), path.name)
        except OperatorError as error:
            log.warning("%s is not shared: %s", display(str(path)), error)
        else:
            agent.follow(path.name)
    return agent


def _take(agent: Agent, given: Given, cluster: Cluster) -> None:
    """Have a node go by the addresses and rates of another cluster file."""
    listed = agent.identity.listed
    listed.update(listed_in(cluster))
    for name in [name for name in listed if name not in cluster.nodes]:
        del listed[name]
    entry = cluster.nodes.get(agent.identity.name)
    if entry is not None:
        agent.limit(rate_limits(cluster, given.over(entry.limits)))


def _fixed(name: str, cluster: Cluster) -> Fixed:
    """Return what a node can only change with a restart."""
    entry, keys = cluster.nodes.get(name), cluster.keys
    if entry is not None:  # Its rates are taken at once.
        limits = msgspec.structs.replace(entry.limits, up=None, down=None, background=None)
        entry = msgspec.structs.replace(entry, limits=limits)
    return {
        "the tracker's address": cluster.tracker_addresses,
        f"address, listen, folder, quota, limits and metrics of {name}": entry,
        f"the key of {name}": None if keys is None else keys.of(name),
    }


def _begin_to_greet(cluster: Cluster, entry: NodeEntry, agent: Agent) -> None:
    threading.Thread(target=_greet, args=(cluster, entry, agent), daemon=True).start()


def _greet(cluster: Cluster, entry: NodeEntry, agent: Agent) -> None:
    """Log how much is served once that is known, and what is missing by the cluster file."""
    agent.wait_for_first_look()
    names = agent.inventory.names()
    log.info("%d %s ready to serve", len(names), "thing is" if len(names) == 1 else "things are")
    for name, nodes in cluster.holdings.items():
        if entry.name in nodes and name.split("/")[0] not in names:
            where = f"{cluster.path} says that {entry.name} holds {display(name)}"
            log.warning("%s, but it is not in %s", where, entry.folder)

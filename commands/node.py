"""`shoal node`: runs a node, which serves its folder, announces it and takes orders."""

import logging
import threading

from shoal.api.folders import identity_of, take_folder
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.stopping import Stopper
from shoal.commands.thread_guard import ThreadGuard
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.agent import Agent
from shoal.node.network.control_server import ControlServer
from shoal.protocol.errors import Kind
from shoal.protocol.names import display
from shoal.system import descriptors
from shoal.system.memory import keep_freed_memory

log = logging.getLogger("shoal.node")


def run_node(cluster: Cluster, entry: NodeEntry) -> ExitCode:
    """Run a node until a signal stops it.

    Raises:
        OperatorError: its folder or its address is taken, or cannot be used.
    """
    terminal.set_up_log(stamped=True)
    keep_freed_memory()
    descriptors.raise_limit()
    agent = Agent(identity_of(cluster, entry), take_folder(entry))
    orders = ControlServer(agent, agent.identity.folder)

    def on_stop(kind: Kind) -> None:
        agent.cancel_all(kind)
        orders.stop()

    Stopper(on_stop)
    with ThreadGuard(on_stop):
        try:
            agent.start()
            log.info("node %s serves %s at %s", entry.name, entry.folder, entry.address)
            greeting = threading.Thread(target=_greet, args=(cluster, entry, agent), daemon=True)
            greeting.start()
            orders.run()
        finally:
            agent.stop()
    log.info("node %s has stopped", entry.name)
    return ExitCode.DONE


def _greet(cluster: Cluster, entry: NodeEntry, agent: Agent) -> None:
    """Log how much is served once that is known, and what is missing by the cluster file."""
    agent.wait_for_first_look()
    names = agent.inventory.names()
    log.info("%d %s ready to serve", len(names), "thing is" if len(names) == 1 else "things are")
    for name, nodes in cluster.holdings.items():
        if entry.name in nodes and name.split("/")[0] not in names:
            where = f"{cluster.path} says that {entry.name} holds {display(name)}"
            log.warning("%s, but it is not in %s", where, entry.folder)

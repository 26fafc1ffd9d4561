"""`shoal node`: runs a node: serves its folder, announces it, takes orders."""

import logging
import threading

from commands import terminal
from commands.stopping import Stopper
from config.cluster import Cluster, NodeEntry
from node.agent import Agent, Identity
from node.control_server import ControlServer
from node.lock import FolderLock, FolderTakenError
from protocol.errors import ExitCode, OperatorError
from protocol.names import display

log = logging.getLogger("shoal.node")


def run_node(cluster: Cluster, entry: NodeEntry) -> ExitCode:
    """Run a node until a signal comes.

    Raises:
        OperatorError: its folder or its address cannot be had.
    """
    terminal.set_up_log(stamped=True)
    agent = Agent(identity_of(cluster, entry), take_folder(entry))
    orders = ControlServer(agent)

    def on_stop(code: ExitCode) -> None:
        agent.cancel_all(code)
        orders.stop()

    stopper = Stopper(on_stop)
    try:
        agent.start()
        log.info("node %s serves %s at %s", entry.name, entry.folder, entry.address)
        greeting = threading.Thread(target=_greet, args=(cluster, entry, agent), daemon=True)
        greeting.start()
        orders.run()
    finally:
        agent.stop()
    log.info("node %s has stopped", entry.name)
    return stopper.exit_code or ExitCode.DONE


def identity_of(cluster: Cluster, entry: NodeEntry) -> Identity:
    return Identity(entry.name, entry.address, entry.folder, cluster.tracker.address)


def take_folder(entry: NodeEntry) -> FolderLock:
    """Return the lock on a node's folder; raise OperatorError if a node has it already."""
    try:
        return FolderLock.take(entry.folder)
    except FolderTakenError as taken:
        owner = f"process {taken.pid}" if taken.pid else "another process"
        message = f"node {entry.name} is running already: {owner} has the folder {entry.folder}"
        raise OperatorError(f"{message}; stop it first") from None


def _greet(cluster: Cluster, entry: NodeEntry, agent: Agent) -> None:
    """Say what is served once it is known, and what the cluster file wrongly says is here."""
    agent.wait_for_first_look()
    names = agent.library.names()
    log.info("%d files are ready to serve", len(names))
    for name, nodes in cluster.holdings.items():
        if entry.name in nodes and name not in names:
            where = f"{cluster.path} says that {entry.name} holds {display(name)}"
            log.warning("%s, but it is not in %s", where, entry.folder)

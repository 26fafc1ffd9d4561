"""`shoal node`: runs a node: serves its folder, announces it, takes orders."""

import logging
import threading
import time

from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.stopping import Stopper
from shoal.commands.thread_guard import ThreadGuard
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock, FolderTakenError
from shoal.node.network.control_server import ControlServer
from shoal.node.orders.home import Identity
from shoal.protocol.errors import Kind, OperatorError, TimedOutError
from shoal.protocol.names import display
from shoal.wire import control_socket

log = logging.getLogger("shoal.node")

RETRY_S = 0.1
TELL_S = 1.0  # A node that has just been started takes orders before that.


def run_node(cluster: Cluster, entry: NodeEntry) -> ExitCode:
    """Run a node until a signal comes.

    Raises:
        OperatorError: its folder or its address cannot be had.
    """
    terminal.set_up_log(stamped=True)
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


def identity_of(cluster: Cluster, entry: NodeEntry) -> Identity:
    return Identity(
        entry.name, entry.address, entry.folder, cluster.tracker.address, entry.quota_bytes
    )


def take_folder(entry: NodeEntry) -> FolderLock:
    """Return the lock on a node's folder; raise OperatorError if a node has it already."""
    try:
        return FolderLock.take(entry.folder)
    except FolderTakenError as taken:
        owner = f"process {taken.pid}" if taken.pid else "another process"
        message = f"node {entry.name} cannot start: {owner} has its folder {entry.folder}"
        raise OperatorError(f"{message}; stop it first") from None


def take_folder_or_none(entry: NodeEntry, timeout_s: float | None) -> FolderLock | None:
    """Return the lock on a node's folder, None if a node that takes orders has it.

    Another command gives it back soon, so that is waited for: `fetch a & fetch b` fetches both.

    Raises:
        OperatorError: it was not given back in time.
    """
    started, has_told = time.monotonic(), False
    while True:
        try:
            return FolderLock.take(entry.folder)
        except FolderTakenError as taken:
            if control_socket.takes_orders(entry.folder):
                return None
            owner = f"process {taken.pid} uses the folder {entry.folder}"
        waited_s = time.monotonic() - started
        if timeout_s is not None and waited_s > timeout_s:
            message = f"{owner} and did not end in time; run it again when it has"
            raise TimedOutError(message)
        if not has_told and waited_s > TELL_S:
            terminal.say(f"{owner}; waiting for it to end")
            has_told = True
        time.sleep(RETRY_S)


def _greet(cluster: Cluster, entry: NodeEntry, agent: Agent) -> None:
    """Say what is served once it is known, and what the cluster file wrongly says is here."""
    agent.wait_for_first_look()
    names = agent.inventory.names()
    log.info("%d %s ready to serve", len(names), "thing is" if len(names) == 1 else "things are")
    for name, nodes in cluster.holdings.items():
        if entry.name in nodes and name.split("/")[0] not in names:
            where = f"{cluster.path} says that {entry.name} holds {display(name)}"
            log.warning("%s, but it is not in %s", where, entry.folder)

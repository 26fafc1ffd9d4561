"""`shoal tracker`: runs the tracker."""

import dataclasses
import logging
import random
import time

import zmq
from shoal.broker.server import Server
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.commands import terminal
from shoal.commands.exit_codes import ExitCode
from shoal.commands.stopping import Stopper
from shoal.config.cluster import Cluster
from shoal.config.limits import TrackerLimits
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.tracker")

MAX_SOCKETS = 4096  # libzmq's own; the tracker opens three.


def run_tracker(cluster: Cluster) -> ExitCode:
    """Run the tracker until a signal stops it.

    Raises:
        OperatorError: its address is taken, or its state cannot be read.
    """
    terminal.set_up_log(stamped=True)
    wake = Wake()
    Stopper(lambda _: wake.set())
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
    store = SqliteStore(cluster.tracker.state_folder / "tracker.db")
    try:
        state = store.load()
        rng = random.Random()  # noqa: S311 (samples holders)
        tracker = Tracker(
            _initial(cluster), rng, time.monotonic(), state, _settings(cluster.tracker.limits)
        )
        server = Server(tracker, store, time.monotonic)
        server.bind(context, cluster.tracker.address)
        try:
            log.info("tracker at %s", cluster.tracker.address)
            server.serve(wake)
        finally:
            server.close()
    finally:
        store.close()
        context.term()
        wake.close()
    log.info("the tracker has stopped")
    return ExitCode.DONE


def _settings(limits: TrackerLimits) -> TrackerSettings:
    """Return the defaults, with what the cluster file sets."""
    given = {
        "lease_s": limits.lease_s,
        "max_nodes": limits.nodes,
        "max_versions": limits.versions,
        "max_holdings": limits.holdings,
        "max_holdings_per_node": limits.holdings_per_node,
    }
    known = {name: value for name, value in given.items() if value is not None}
    return dataclasses.replace(TrackerSettings(), **known)  # type: ignore[arg-type]


def _initial(cluster: Cluster) -> Initial:
    nodes = {name: InitialNode(one.address, one.zone) for name, one in cluster.nodes.items()}
    return Initial(cluster.tracker.address, nodes, cluster.holdings)

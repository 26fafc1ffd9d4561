"""`shoal tracker`: runs the tracker."""

import dataclasses
import functools
import logging
import os
import random
import time
from collections.abc import Sequence

import zmq
from shoal.api.here import tracker_here
from shoal.api.security import ring_of
from shoal.broker.condition import Condition
from shoal.broker.pruning import Most
from shoal.broker.redis_store import RedisStore
from shoal.broker.server import Server
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.stores import NotSavedError, Store
from shoal.broker.tracking.changes import Change
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.tracker import Tracker
from shoal.commands import logs
from shoal.commands.exit_codes import ExitCode
from shoal.commands.logs import LogWishes
from shoal.commands.open_port import listening, warn_of_open_port
from shoal.commands.reloading import Fixed, Reloading
from shoal.commands.stopping import Stopper
from shoal.commands.supervised import Supervised
from shoal.commands.watched import place_of, watched
from shoal.config.cluster import Cluster, TrackerEntry
from shoal.config.limits import TrackerLimits
from shoal.config.security import TRACKER
from shoal.protocol import addresses
from shoal.protocol.errors import Kind
from shoal.protocol.permits import Publish
from shoal.system.supervisor import Supervisor
from shoal.wire.curve import gate_of
from shoal.wire.host_names import HOST_NAMES
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.tracker")

MAX_SOCKETS = 4096  # libzmq's own; the tracker opens three.


def run_tracker(
    cluster: Cluster,
    at: str | None = None,
    metrics: str | None = None,
    log_wishes: LogWishes = LogWishes(),  # noqa: B008 (immutable)
) -> ExitCode:
    """Run a tracker until a signal stops it; `at` and `metrics` are as --at and --metrics have it.

    Raises:
        OperatorError: its address is taken, or its state or its secret key cannot be read; or it is
            not clear which tracker is meant.
    """
    entry = tracker_here(cluster, at)
    ring = ring_of(cluster, TRACKER)
    place = place_of(metrics, entry.metrics)
    logs.set_up(log_wishes)
    wake = Wake()
    context = _context()
    store = _store(cluster, entry)
    try:
        tracker = _tracker(cluster, entry, store)
        server = Server(tracker, store, time.monotonic)
        condition = Condition(tracker, server, store, entry.state_folder)
        take = functools.partial(_take, tracker, server, entry)
        reload = Reloading(log, cluster, ring, functools.partial(_fixed, entry.address), take)
        supervised = _supervised(condition, wake, reload)
        try:
            with watched(place, condition):  # First: what that loads is no growth by connections.
                server.bind(context, entry.bound_to, gate_of(ring))
                _tell_where(cluster, entry)
                with supervised:
                    server.serve(wake)
        finally:
            server.close()
    finally:
        store.close()
        context.term()
        wake.close()
    log.info("the tracker has stopped")
    return ExitCode.DONE


def _store(cluster: Cluster, entry: TrackerEntry) -> Store:
    """Return the store that the trackers share; without one, a file of this tracker's own."""
    if cluster.store is None:
        return SqliteStore(entry.state_folder / "tracker.db", _most(cluster, entry))
    return RedisStore(*cluster.store.place(os.environ))


def _log_so_far(store: Store) -> Sequence[Change]:
    """Return what was decided before. A shared store may be away: it is read later, and told."""
    try:
        return store.load()
    except NotSavedError:
        return ()


def _context() -> "zmq.Context[zmq.Socket[bytes]]":
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, MAX_SOCKETS)
    return context


def _tell_where(cluster: Cluster, entry: TrackerEntry) -> None:
    log.info("tracker at %s", listening(entry))
    warn_of_open_port(cluster, entry.bound_to, "can list and announce files")


def _supervised(condition: Condition, wake: Wake, reload: Reloading) -> Supervised:
    """Heed signals; return what tells the service manager of them, and of the tracker."""
    supervised = Supervised(Supervisor(), condition)

    def on_stop(_: Kind) -> None:
        supervised.stopping()
        wake.set()

    Stopper(on_stop, supervised.reloading(reload))
    return supervised


def _tracker(cluster: Cluster, entry: TrackerEntry, store: Store) -> Tracker:
    """Return a tracker that knows what is stored."""
    return Tracker(
        _initial(cluster, entry),
        random.Random(),  # noqa: S311 (samples holders)
        time.monotonic(),
        _log_so_far(store),
        _settings(entry.limits),
        random.SystemRandom(),
        shares=store.is_shared,
    )


def _take(tracker: Tracker, server: Server, entry: TrackerEntry, cluster: Cluster) -> None:
    """Have the tracker go by another cluster file, at its next turn."""
    server.do(lambda: tracker.learn(_initial(cluster, entry)))


def _fixed(address: str, cluster: Cluster) -> Fixed:
    """Return what the tracker that is at `address` can only change with a restart."""
    entry = next((one for one in cluster.trackers if one.address == address), cluster.trackers[0])
    keys = cluster.keys
    return {
        "the tracker's address": entry.address,
        "where it listens": entry.listen,
        "its state folder": entry.state_folder,
        "its limits": entry.limits,
        "its metrics": entry.metrics,
        "its key": None if keys is None else keys.tracker,
        "the store": cluster.store,
        "holdings": cluster.holdings,
    }


def _most(cluster: Cluster, entry: TrackerEntry) -> Most:
    """Return how much is read of what an earlier tracker has saved."""
    limits = _settings(entry.limits)
    name_bytes = limits.max_versions * limits.bytes_per_name
    counts = limits.max_nodes, limits.max_holdings, limits.max_versions
    return Most(*counts, name_bytes, cluster.nodes)


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


def _initial(cluster: Cluster, entry: TrackerEntry) -> Initial:
    nodes = {
        name: InitialNode(one.address, one.zone, _own_host(one.listen))
        for name, one in cluster.nodes.items()
    }
    publish = Publish.MEMBERS if cluster.keys is None else cluster.keys.publish
    told = entry.address, nodes, cluster.holdings, publish, HOST_NAMES.known
    others = [address for address in cluster.tracker_addresses if address != entry.address]
    return Initial(*told, cluster.accepts_pushes, cluster.cluster_up, tuple(others))


def _own_host(listen: str | None) -> str:
    """Return the one host at which a node listens; empty if that is unknown, or all of them."""
    host = "" if listen is None else addresses.split(listen)[0]
    return "" if addresses.ip(host) is None or addresses.is_any(host) else host

"""How the tracker is: its figures, whether it is well, and whether it is ready. Changes nothing."""

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import zmq
from shoal import __version__
from shoal.broker.server import Server
from shoal.broker.stores import Store
from shoal.broker.tracking.census import Census
from shoal.broker.tracking.tracker import Tracker
from shoal.system.figures import Family, Figure, NoFiguresError, build_info, counter, each, gauge

PATIENCE_S = 2.0  # For the loop to answer: a round takes milliseconds.
STUCK = f"the loop has not turned for {PATIENCE_S:.0f} s"
_FAULTS = {  # The server's counters, by what they are told as.
    "malformed": "malformed",
    "without_delimiter": "without_delimiter",
    "bugs": "bug",
    "dropped_replies": "dropped_reply",
    "cut_off": "cut_off",
    "refused_connections": "refused_connection",
    "refused_keys": "refused_key",
}


class Condition:
    """Asks one tracker's loop. From any thread but the loop's."""

    def __init__(self, tracker: Tracker, server: Server, store: Store, state_folder: Path) -> None:
        self._tracker = tracker
        self._server = server
        self._store = store
        self._state_folder = state_folder

    def ailments(self) -> list[str]:
        """Return what is wrong with the process, a line each; nothing if it is well."""
        return [] if self._server.ask(lambda: True, PATIENCE_S) else [STUCK]

    def unready(self) -> list[str]:
        """Return why it cannot do all of its work, a line each; nothing if it can."""
        trouble = self._server.ask(self._store.trouble, PATIENCE_S)
        if trouble is None:
            return [STUCK]
        trouble = self._server.store_trouble or trouble
        where = "the store is away" if self._store.is_shared else "tracker.db cannot be read"
        return [f"{where}: {trouble}"] if trouble else []

    def figures(self) -> Sequence[Figure]:
        """Return all that is counted, as docs/use/metrics.md explains it.

        Raises:
            NoFiguresError: the loop does not answer.
        """
        now = self._server.now
        found = self._server.ask(lambda: (self._tracker.census(now()), self._served()), PATIENCE_S)
        if found is None:
            raise NoFiguresError(STUCK)
        census, served = found
        families = [
            build_info(__version__, zmq.zmq_version(), "tracker"),
            *served,
            *_known(census),
            *_pushed(census),
        ]
        with contextlib.suppress(OSError):
            free_bytes = shutil.disk_usage(self._state_folder).free
            what = "Free bytes on the disk of the state folder."
            families.append(gauge("shoal_disk_free_bytes", what, free_bytes))
        return families

    def _served(self) -> list[Family]:
        server = self._server
        counted = server.counted()
        faults = {name: counted.get(key, 0) for key, name in _FAULTS.items()}
        return [
            each(
                "shoal_tracker_requests_total",
                "counter",
                "Requests that were answered, by kind.",
                "kind",
                server.kinds(),
            ),
            each(
                "shoal_tracker_faults_total",
                "counter",
                "What others or we did wrong.",
                "fault",
                faults,
            ),
            *_store(counted),
            gauge("shoal_tracker_connections", "Open connections.", counted["connections"]),
            gauge("shoal_requests_waiting", "Requests that wait.", server.waiting_count),
        ]


def _store(counted: Mapping[str, int]) -> list[Family]:
    return [
        counter(
            "shoal_tracker_failed_saves_total",
            "Failures to save the state: on the disk, or in the store that trackers share.",
            counted["failed_saves"],
        ),
        gauge(
            "shoal_tracker_store_away",
            "Whether nothing can be saved now: 1, or 0.",
            counted["store_away"],
        ),
        gauge(
            "shoal_tracker_unsaved_changes",
            "Changes that are not saved yet.",
            counted["unsaved_changes"],
        ),
    ]


def _known(census: Census) -> list[Family]:
    return [
        each("shoal_nodes", "gauge", "Nodes, by state.", "state", census.nodes),
        each(
            "shoal_node_heard_seconds",
            "gauge",
            "How long ago each node was heard of; its lease is 30 s.",
            "node",
            census.heard_s,
        ),
        gauge("shoal_versions", "Versions of all names.", census.versions),
        gauge(
            "shoal_holdings",
            "Versions that nodes hold, each counted once for each node.",
            census.holdings,
        ),
    ]


def _pushed(census: Census) -> list[Family]:
    copies = {"wanted": census.wanted, "have": census.have}
    return [
        gauge("shoal_pushes", "Pushes that are kept.", census.pushes),
        each(
            "shoal_push_copies",
            "gauge",
            "Copies that all pushes together want, and those that there are.",
            "state",
            copies,
        ),
    ]

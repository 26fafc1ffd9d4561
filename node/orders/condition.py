"""How a node is: its figures, whether it is well, and whether it is ready. Changes nothing."""

import threading
import time
from collections.abc import Sequence

import zmq
from shoal import __version__
from shoal.node.fetching.report import WAITS_S
from shoal.node.network.chunk_server import ChunkServer
from shoal.node.network.session import Session
from shoal.node.network.totals import Received
from shoal.node.orders.activity import Activity
from shoal.node.orders.home import Home
from shoal.node.orders.obeying import Obeying
from shoal.system.figures import Family, Figure, Histogram, build_info, counter, each, gauge
from shoal.system.pulse import Pulse

STUCK_S = 10.0  # A turn of a loop takes milliseconds; one read of a sick disk takes seconds.
THREADS = ("serve", "read", "session", "watch", "heal", "settle", "sweep")
OBEYS = "wishes"  # The thread of a node that does what is pushed.


class Condition:
    """Looks at one running node's parts. May be asked from any thread, and waits for none."""

    def __init__(
        self,
        home: Home,
        server: ChunkServer,
        session: Session,
        activity: Activity,
        obeying: Obeying,
    ) -> None:
        self._home = home
        self._server = server
        self._session = session
        self._activity = activity
        self._obeying = obeying
        self.pulses: dict[str, Pulse] = {"serve": server.pulse, "session": session.pulse}

    def ailments(self) -> list[str]:
        """Return what is wrong with the process, a line each; nothing if it is well."""
        alive = {thread.name for thread in threading.enumerate()}
        expected = [*THREADS, *([OBEYS] if self._obeying.obeys else [])]
        gone = [f"the thread '{name}' is not running" for name in expected if name not in alive]
        now = time.monotonic()
        worked = {name: pulse.working_s(now) for name, pulse in self.pulses.items()}
        stuck = [
            f"the loop '{name}' has not turned for {for_s:.0f} s"
            for name, for_s in worked.items()
            if for_s > STUCK_S
        ]
        return gone + stuck

    def unready(self) -> list[str]:
        """Return why the node is not all that it will be, a line each; nothing if it is."""
        reasons = []
        if not self._home.watcher.has_looked:
            reasons.append("the folder is being looked through")
        if not self._session.is_registered:
            reasons.append("the tracker does not know all of this node yet, or does not answer")
        return reasons

    def figures(self) -> Sequence[Figure]:
        """Return all that is counted, as docs/use/metrics.md explains it."""
        return [
            build_info(__version__, zmq.zmq_version(), self._home.identity.name),
            *self._received(),
            *self._sent(),
            *self._held(),
            *self._states(),
        ]

    def _received(self) -> list[Figure]:
        received = self._home.totals.read()
        return [
            each(
                "shoal_received_bytes_total",
                "counter",
                "Bytes of chunks that arrived, were right and were missing, by sender.",
                "peer",
                received.by_peer,
            ),
            each(
                "shoal_chunks_total",
                "counter",
                "Chunks that arrived, by what became of them.",
                "result",
                received.chunks,
            ),
            Histogram(
                "shoal_chunk_seconds",
                "How long replies with right chunks took, from the request on.",
                WAITS_S,
                received.waits,
                received.waited_s,
            ),
            *self._fetched(received),
        ]

    def _fetched(self, received: Received) -> list[Family]:
        ended = self._activity.ended()
        return [
            counter(
                "shoal_reused_bytes_total",
                "Bytes of fetched things that were in the folder already.",
                received.reused_bytes,
            ),
            counter(
                "shoal_chunk_retries_total",
                "Chunks that were requested once more.",
                received.retries,
            ),
            counter(
                "shoal_lost_holders_total",
                "Holders that a fetch has lost: gone, silent or unreachable.",
                received.lost_holders,
            ),
            each("shoal_fetches_total", "counter", "Fetches that are over.", "result", ended),
        ]

    def _sent(self) -> list[Family]:
        sent = self._server.sent
        return [
            each(
                "shoal_sent_bytes_total",
                "counter",
                "Bytes of chunks given to the network, by receiver.",
                "peer",
                sent.by_peer.read(),
            ),
            counter("shoal_sent_chunks_total", "Chunks given to the network.", sent.chunk_count),
            counter(
                "shoal_sent_manifests_total",
                "Manifests given to the network.",
                sent.manifest_count,
            ),
            gauge(
                "shoal_requests_waiting",
                "Requests of others that wait for room, or for the disk.",
                self._server.waiting_count,
            ),
        ]

    def _held(self) -> list[Family]:
        inventory = self._home.inventory
        counts = {"whole": inventory.whole_count, "partial": inventory.partial_count}
        hashing = len(self._home.watcher.all_hashing())
        return [
            each("shoal_holdings", "gauge", "Things that are served.", "state", counts),
            gauge(
                "shoal_holdings_bytes",
                "Bytes of the things that are whole.",
                inventory.whole_bytes,
            ),
            gauge("shoal_hashing", "Things that are being hashed.", hashing),
        ]

    def _states(self) -> list[Family]:
        wanted, failing = self._obeying.counts()
        families = [
            gauge("shoal_fetches_running", "Fetches under way.", self._activity.fetch_count),
            each(
                "shoal_wishes",
                "gauge",
                "What the tracker has this node hold (wanted), and what of it fails.",
                "state",
                {"wanted": wanted, "failing": failing},
            ),
            gauge(
                "shoal_registered",
                "1 if the tracker knows all that this node holds, else 0.",
                self._session.is_registered,
            ),
            gauge("shoal_ready", "1 if /readyz says so, else 0.", not self.unready()),
            gauge("shoal_healthy", "1 if /healthz says so, else 0.", not self.ailments()),
        ]
        free_bytes = self._activity.last_free_bytes
        if free_bytes is not None:
            what = "Free bytes on the folder's disk, as of some seconds ago."
            families.append(gauge("shoal_disk_free_bytes", what, free_bytes))
        return families

"""Two or three trackers on one shared store, in a share of the seeds; and the store itself."""

from random import Random
from typing import TYPE_CHECKING

from shoal.broker.settings import ServerSettings

from tests.simulation.faults import tracker_acts
from tests.simulation.faults.agreement import Agreement
from tests.simulation.faults.probe import Probe
from tests.simulation.faults.promises import SharedLedger
from tests.simulation.faults.service import Service, trackers_of
from tests.simulation.faults.shared_store import STORE, StoreServer
from tests.simulation.faults.sharer import SharingTracker, WatchedSharer
from tests.simulation.network import place

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.story import Story

SHARE = 0.3  # Of the seeds.
EXCHANGE_S = (0.11, 0.31, 0.97)  # More often, as it is by default, only takes more real time.


def count_of(seed: int) -> int:
    """Return how many trackers there are in a seed."""
    rng = Random(f"trackers {seed}")
    return rng.choice((2, 3)) if rng.random() < SHARE else 1


def drawn(cluster: "Cluster", seed: int) -> "Several | None":
    """Return what a seed with several trackers has; None if it has one."""
    count = count_of(seed)
    return Several(cluster, Random(f"several {seed}"), count) if count > 1 else None


class Several:
    """The trackers, their store, and what is known of right and wrong."""

    def __init__(self, cluster: "Cluster", rng: Random, count: int) -> None:
        self.rng = rng
        self.count = count
        self.hosts: list[SharingTracker] = []
        self.in_file: list[SharingTracker] = []  # The cluster file.
        self.server = StoreServer(cluster.loop, cluster.net, Random(rng.getrandbits(64)))
        self.settings = ServerSettings(exchange_every_s=rng.choice(EXCHANGE_S))
        self.ledger = SharedLedger(self, cluster.hits)
        self.agreement = Agreement(cluster, self)
        self.probe = Probe(cluster, self)
        self.answered: dict[str, float] = {}  # When a node was last answered, if only by a refusal.
        self.heard: dict[str, float] = {}  # When any tracker was told by a node that it is alive.
        self.service = Service(cluster, self)
        self.is_excused = False  # A tracker has answered what the log may not have.
        self._cluster = cluster

    def begin(self) -> list[SharingTracker]:
        """Return the trackers, which are to be started."""
        rng, net = self.rng, self._cluster.net
        net.places[STORE] = place(12e6, 12e6, rng.choice((0.0001, 0.001)))
        for number in range(1, self.count + 1):
            host = SharingTracker(self._cluster, self, number)
            rate = rng.choice((0.3e6, 12e6))
            net.places[host.name] = place(rate, rate, rng.choice((0.0001, 0.001, 0.02)))
            self.hosts.append(host)
        self.in_file = list(self.hosts)
        self._cluster.hits[f"{self.count} trackers"] += 1
        return self.hosts

    def clock(self) -> float:
        return self._cluster.clock()

    def one(self) -> SharingTracker:
        return self.rng.choice(self.in_file)

    def addresses(self) -> list[str]:
        return [host.address for host in self.in_file]

    def draw(self, story: "Story") -> None:
        """Put faults of trackers and of the store into the story."""
        tracker_acts.draw(story, self)
        self.service.watch()
        self.probe.begin()

    def heal(self) -> None:
        """End what ails the store, and let the trackers be those of the cluster file."""
        tracker_acts.mend(self)
        for host in self.hosts:
            if host not in self.in_file:
                host.kill()
        known = set(self.addresses())
        for node in self._cluster.nodes.values():
            if node.agent is not None and not known & set(trackers_of(node.agent).addresses):
                node.kill()  # It has to be restarted, as all of its trackers are gone.

    def look(self) -> None:
        for host in self.hosts:
            self._note_excuse(host)
        self.agreement.look()
        self.service.look()

    def require_agreement(self) -> None:
        self.probe.end()
        self.agreement.require()

    def ended(self, host: SharingTracker) -> None:
        """Note that a tracker ends, and what it had not told yet."""
        saver, process = host.saver, host.process
        self.service.ended(host)
        self._note_excuse(host)
        if saver is not None and not saver._exchanges.has_saved_all():
            self.is_excused = True
        if process is not None:
            self.ledger.ended(process.number)

    def lose(self, count: int) -> None:
        """Have the store fail over to a replica without the last entries."""
        knowing = {
            host.process.number
            for host in self.hosts
            if host.process is not None and host.store is not None and host.store.reader.is_at_end
        }
        self.is_excused = True
        self.ledger.store_lost(self.server.log.lose(count), knowing)

    def _note_excuse(self, host: SharingTracker) -> None:
        saver = host.saver
        if saver is not None:
            exchanges = saver._exchanges
            self.is_excused |= bool(exchanges.outage_count or exchanges.loss_count)

    def unread_since(self, tracker: WatchedSharer) -> float:
        """Return since when the log has something that a tracker has not read, but could have."""
        log, loop = self.server.log, self._cluster.loop
        host = next((one for one in self.hosts if one.tracker is tracker), None)
        if host is None or host.saver is None or host.store is None or host.saver._is_slow:
            return self.clock()
        place = host.store.reader.place
        if place.generation != log.generation or place.entry == len(log.batches):
            return self.clock()
        return self.clock() - loop.now + log.batches[place.entry].at

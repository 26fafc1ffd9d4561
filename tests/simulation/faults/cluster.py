"""All of one simulation: the hosts, what connects them, and what is known of right and wrong."""

import collections
import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.simulation.faults import admission, disk, limits, several, sockets, watched
from tests.simulation.faults.checks import Checks
from tests.simulation.faults.connections import Net
from tests.simulation.faults.content import Archive
from tests.simulation.faults.desk import Desk
from tests.simulation.faults.hosts import NodeHost, TrackerHost
from tests.simulation.faults.keyrings import Keyrings
from tests.simulation.faults.ledger import Ledger
from tests.simulation.faults.outside import Outside
from tests.simulation.faults.threads import Loop, Process
from tests.simulation.faults.trace import Finding, Trace
from tests.simulation.network import place

WHATS = "keys", "rates", "places", "readers"
LOOK_S = 1.0  # How often the checkers look at everything.


def _rngs(seed: int) -> Iterator[random.Random]:
    """Return generators for some parts of a story: whatever they draw, the rest stays as it is."""
    return (random.Random(f"{what} {seed}") for what in WHATS)


class Cluster:
    """The hosts and everything between them."""

    def __init__(self, seed: int, loop: Loop, scratch: Path) -> None:
        self.rng = random.Random(seed)
        self.loop = loop
        self.scratch = scratch
        self.hits: collections.Counter[str] = collections.Counter()
        self.trace = Trace(loop, str(scratch))
        self.archive = Archive()
        self.net = Net(loop, random.Random(self.rng.getrandbits(64)), self._jitter_s())
        self.checks, self.outside = Checks(self), Outside(self)
        self.is_calm = False  # The faults are over.
        disk.begin(self.trace.note)
        sockets.begin(self.net)
        self.several = several.drawn(self, seed)
        self.ledger = Ledger(self.hits) if self.several is None else self.several.ledger
        watched.begin(self.ledger)
        self.keys_rng, self.rates_rng, self.places_rng, self.readers_rng = _rngs(seed)
        self.keyrings = Keyrings(random.Random(self.keys_rng.getrandbits(64)))
        self.rate_together: int | None = None  # What all may send, in bytes/s.
        admission.begin(self)
        limits.begin(self)
        self.zones: dict[str, str | None] = {}  # Of the nodes in the cluster file.
        self.trackers = [TrackerHost(self)] if self.several is None else self.several.begin()
        self.nodes: dict[str, NodeHost] = {}
        self.liars: list[str] = []
        if self.several is None:
            self.link("tracker")
        self.desk = Desk(self)
        logger = logging.getLogger("shoal")
        logger.handlers, logger.propagate = [self.trace], False
        logger.setLevel(logging.INFO)
        logging.getLogger(
            "concurrent.futures"
        ).disabled = True  # It reports threads that are killed.

    def _jitter_s(self) -> float:
        return self.rng.choice((0.0, 0.0002, 0.005, 0.05))

    def link(self, host: str) -> None:
        rng = self.rng
        rate = rng.choice((0.3e6, 3e6, 12e6, 120e6))
        latency_s = rng.choice((0.0001, 0.001, 0.02))
        self.net.places[host] = place(rate, rate, latency_s)

    @property
    def tracker(self) -> TrackerHost:
        """The tracker; one of them, if there are several."""
        return self.trackers[0] if self.several is None else self.several.one()

    @property
    def tracker_addresses(self) -> list[str]:
        """What the cluster file has now."""
        if self.several is None:
            return [self.trackers[0].address]
        return self.several.addresses()

    def reload_trackers(self) -> None:
        """Have all trackers read the cluster file again."""
        for host in self.trackers:
            host.reload()

    def split_verdicts(self) -> str:
        """Return on what trackers do not agree; empty if they do."""
        return "" if self.several is None else self.several.agreement.of_verdicts()

    def clock(self) -> float:
        return self.loop.clock

    def add_node(self, number: int, quota_bytes: int | None = None) -> NodeHost:
        name = f"n{number}"
        self.link(name)
        self.zones[name] = None
        host = self.nodes[name] = NodeHost(self, name, number, quota_bytes)
        return host

    def add_stranger(self, name: str, number: int) -> Process:
        """Add a host that runs no program of ours."""
        self.link(name)
        self.net.hosts[f"tcp://10.0.0.{number}:5000"] = name
        return Process(self.loop, name, self.loop.next_number())

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, and look at everything again and again."""
        end = self.loop.now + seconds
        while self.loop.now < end and not until():
            self.loop.run(min(end, self.loop.now + LOOK_S), self._is_found)
            self._raise_found()
            self.checks.look()
            if self.several is not None:
                self.several.look()

    def _is_found(self) -> bool:
        return bool(self.loop.crashed or self.trace.bugs)

    def _raise_found(self) -> None:
        for thread, error in self.loop.crashed:
            if isinstance(error, Finding):
                raise error
            host = thread.process.host if thread.process else "a user"
            raise Finding("exceptions", f"{host}, {thread.name}: {error!r}") from error
        for bug in self.trace.bugs:
            raise Finding("exceptions", bug)

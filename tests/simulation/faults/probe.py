"""Somebody who asks the trackers again and again, and must be answered in time."""

from typing import TYPE_CHECKING

from shoal.api.asking import Line
from shoal.protocol.errors import TrackerError
from shoal.protocol.messages import Files, List
from shoal.protocol.trackers import Trackers
from shoal.wire.tracker_client import PATIENCE_S

from tests.simulation.faults.threads import Process
from tests.simulation.faults.trace import Finding
from tests.simulation.network import place

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.several import Several
    from tests.simulation.faults.sharer import SharingTracker

ADDRESS = "tcp://10.0.0.241:5000"
EVERY_S = (0.5, 6.0)
STEADY_S = 3.0  # So long before a question a tracker must have served: TCP may pause after a cut.
SPARE_S = 0.9  # For connecting over slow links, and for a round of a tracker.


class Probe:
    """Asks which files there are, each time with a command of its own."""

    host = "probe"

    def __init__(self, cluster: "Cluster", several: "Several") -> None:
        self._cluster = cluster
        self._several = several
        self._is_over = False

    def begin(self) -> None:
        net, loop = self._cluster.net, self._cluster.loop
        net.places[self.host] = place(12e6, 12e6, 0.001)
        net.hosts[ADDRESS] = self.host
        Process(loop, self.host, loop.next_number()).start(self._ask_on)

    def end(self) -> None:
        self._is_over = True

    def _ask_on(self) -> None:
        loop, rng, several = self._cluster.loop, self._several.rng, self._several
        count = 0
        while not self._is_over:
            loop.pass_time(rng.uniform(*EVERY_S))
            began, count, hosts = loop.now, count + 1, list(several.in_file)
            try:
                with Line(Trackers(several.addresses(), f"{self.host}{count}")) as line:
                    line.ask(List(), Files)
                    answered_at = loop.now
            except TrackerError:
                answered_at = None
            self._judge(began, answered_at, hosts)

    def _judge(
        self, began: float, answered_at: float | None, hosts: list["SharingTracker"]
    ) -> None:
        """Require an answer within a second for each tracker that may have kept silent."""
        service, net = self._several.service, self._cluster.net
        asked = self.host, began - STEADY_S, hosts
        bad, silent = service.bad_since(*asked), service.silent_since(*asked)
        self._cluster.hits[f"probe: {silent} trackers silent, {bad - silent} dead"] += 1
        if bad == len(hosts) or net.broken.get(self.host, 0.0) >= began:
            return
        took_s = self._cluster.loop.now - began if answered_at is None else answered_at - began
        if answered_at is None or took_s > silent * PATIENCE_S + SPARE_S:
            what = "no answer" if answered_at is None else "an answer"
            text = f"{what} after {took_s:.2f} s; {silent} trackers were silent, {bad} bad"
            raise Finding("failover", text)

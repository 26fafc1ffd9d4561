"""Several trackers are one: each is the sum of the log, and the log has what the nodes hold."""

from typing import TYPE_CHECKING

from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State
from shoal.protocol.pushing import VerdictList, Verdicts

from tests.simulation.faults.trace import Finding
from tests.simulation.trackers.history import difference, shown

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.several import Several
    from tests.simulation.faults.sharer import SharingTracker

EVEN_S = 40.0  # So soon all trackers and nodes must agree, once all is quiet.


class Agreement:
    """Compares the trackers with the log, again and again."""

    def __init__(self, cluster: "Cluster", several: "Several") -> None:
        self._cluster = cluster
        self._several = several
        self._sum, self._summed, self._generation = _nothing(), 0, 0

    def state(self) -> State:
        """Return the sum of the log."""
        log = self._several.server.log
        if self._generation != log.generation:
            self._sum, self._summed, self._generation = _nothing(), 0, log.generation
        for batch in log.batches[self._summed :]:
            for change in batch.changes:
                self._sum.apply(change, batch.at)
        self._summed = len(log.batches)
        return self._sum

    def look(self) -> None:
        """Compare those that say that they know all, and are known by all."""
        hosts, now = self._several.hosts, self._cluster.clock()
        even = [host for host in hosts if host.is_even and host.tracker is not None]
        said = shown(self.state(), now) if even else []
        for host in even:
            assert host.tracker is not None
            known = shown(host.tracker._state, now)
            if known != said:
                text = f"{host.name} is not what the log says: {difference(known, said)}"
                raise Finding("agreement", text)
        if self.is_settled():
            self._several.ledger.settled(self.state())
        if not self._several.is_excused:
            self._require_one_of_a_number()

    def is_settled(self) -> bool:
        """Say whether all that was ever decided is in the log, and known to all."""
        hosts = self._several.hosts
        up = [host for host in hosts if host.is_up]
        return not self._several.server.under_way and all(host.is_even for host in up)

    def require(self) -> None:
        """Require that all agree soon: the trackers, the log and the nodes."""
        self._cluster.run(EVEN_S, lambda: not self._difference())
        if found := self._difference():
            raise Finding("agreement", found)

    def _difference(self) -> str:
        if not self.is_settled():
            return "the trackers do not come to an end"
        log, now = self._several.server.log, self._cluster.clock()
        whole = _nothing()
        whole.replay(log.changes(log.batches), log.world.now)
        if shown(whole, now) != shown(self.state(), now):
            return "the log is not the sum of its entries"
        return self._of_nodes(whole) or self.of_verdicts()

    def _of_nodes(self, state: State) -> str:
        for name, node in self._cluster.nodes.items():
            if node.agent is None:
                continue
            held = {(one.name, one.id) for one in state.catalogue.held_by(name)}
            wanted = node.agent._session._announcer._wanted.keys()
            if held != wanted:
                return f"{name} is listed for {sorted(held)}, and holds {sorted(wanted)}"
        return ""

    def of_verdicts(self) -> str:
        """Return which verdicts differ between trackers; empty if none do."""
        for name in self._several.ledger.current():
            told = {host.name: _verdicts(host, name) for host in self._several.in_file}
            if len(set(told.values())) > 1:
                return f"the verdicts on {name} differ: {told}"
        return ""

    def _require_one_of_a_number(self) -> None:
        catalogue = self.state().catalogue
        for name in catalogue.names_after(""):
            numbers = [one.published.number for one in catalogue.versions(name)]
            numbered = [number for number in numbers if number]
            if len(set(numbered)) < len(numbered):
                raise Finding("numbers", f"{name} has several versions of one number: {numbers}")


def _verdicts(host: "SharingTracker", name: str) -> tuple[tuple[str, str], ...]:
    reply = None if host.tracker is None else host.tracker._pushes.verdicts(Verdicts(name))
    if not isinstance(reply, VerdictList):
        return ()
    return tuple((one.node, one.state) for one in reply.verdicts)


def _nothing() -> State:
    return State(Initial(""), TrackerSettings())

"""A cluster of real processes with several trackers, and a real store that they share."""

import contextlib
import itertools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shoal.api.asking import ask
from shoal.protocol.errors import OperatorError
from shoal.protocol.messages import Files, List
from shoal.protocol.trackers import Trackers

from tests.integration.cluster import Cluster, free_address
from tests.integration.redis_server import RedisServer, found_servers
from tests.multihost.host_process import HostProcess


class SharedCluster(Cluster):
    """It has three trackers, by number. None of them runs yet; the store does."""

    def __init__(self, folder: Path) -> None:
        self.trackers = [free_address() for _ in range(3)]
        self.nodes = [self._node_of(address) for address in self.trackers]  # Each prefers its own.
        super().__init__(folder, self.nodes)
        program = next(iter(found_servers().values()))
        self.store = RedisServer(program, folder / "store")
        listed = ", ".join(f"{{address: '{address}'}}" for address in self.trackers)
        head, _, tail = self.file.read_text().partition("nodes:\n")
        head = f"trackers: [{listed}]\nstore: {self.store.url}\naccept_pushes: true\n"
        self.file.write_text(f"{head}nodes:\n{tail}")

    def start_trackers(self, *numbers: int) -> None:
        """Start these, or all; wait until they listen."""
        begun = [self.launch(*self._role(number)) for number in numbers or range(3)]
        self.wait(lambda: all("tracker at" in one.stderr for one in begun), "the trackers listen")

    def tracker(self, number: int) -> HostProcess:
        return self.process(*self._role(number))

    def kill_tracker(self, number: int) -> None:
        self.kill(*self._role(number))

    def pause_tracker(self, number: int) -> None:
        self.tracker(number).send_signal(signal.SIGSTOP)

    def resume_tracker(self, number: int) -> None:
        self.tracker(number).send_signal(signal.SIGCONT)

    def listing(self, number: int) -> dict[str, Any]:
        """Return what one tracker says of every version; its age apart."""
        with contextlib.suppress(OperatorError):
            files = ask(Trackers([self.trackers[number]]), List(), Files).files
            return {
                f"{one.name}@{one.id}": (
                    one.newest,
                    one.version,
                    one.publisher,
                    sorted((each.node, each.complete, each.alive) for each in one.holders),
                )
                for one in files
            }
        return {}

    def close(self) -> None:
        self.store.close()
        for address in self.trackers:
            with contextlib.suppress(KeyError):
                self.process("tracker", "--at", address).send_signal(signal.SIGCONT)
        super().close()

    def _node_of(self, address: str) -> str:
        names = (f"n{number}" for number in itertools.count(1))
        return next(one for one in names if Trackers(self.trackers, one).addresses[0] == address)

    def _role(self, number: int) -> tuple[str, ...]:
        return "tracker", "--at", self.trackers[number]


@contextlib.contextmanager
def shared_cluster_in(folder: Path) -> Iterator[SharedCluster]:
    cluster = SharedCluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()

"""Has one order carried out: by the node that runs, or by being that node for as long."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from commands.node import identity_of, take_folder_or_none
from commands.orders import OrderDesk
from commands.stopping import Stopper
from config.cluster import Cluster, NodeEntry
from node.agent import Agent
from protocol.control import Report, Task, Working


class Doer:
    """One node, running or not. A context manager, which has the node's folder while it is open."""

    def __init__(self, cluster: Cluster, entry: NodeEntry) -> None:
        self._cluster = cluster
        self._entry = entry
        self.is_running = False  # Whether the node is, beside this command.

    def __enter__(self) -> Self:
        self._lock = take_folder_or_none(self._entry, None)
        self.is_running = self._lock is None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is not None:
            self._lock.release()

    def carry_out(self, order: Task, on_progress: Callable[[Working], None]) -> Report:
        """Have it done, and the tracker told; raise OperatorError if it could not be done."""
        if self._lock is not None:
            return self._be_the_node(order, on_progress)
        desk = OrderDesk(self._entry.name, self._entry.folder)
        Stopper(desk.cancel)
        try:
            return desk.give(order, on_progress)
        finally:
            desk.close()

    def _be_the_node(self, order: Task, on_progress: Callable[[Working], None]) -> Report:
        lock, self._lock = self._lock, None  # From now on it is the agent's.
        assert lock is not None
        agent = Agent(identity_of(self._cluster, self._entry), lock)
        Stopper(agent.cancel_all)
        try:
            agent.start_for_one_fetch()
            report = agent.carry_out(order, on_progress)
            agent.look_once()
        finally:
            agent.stop()
        return report

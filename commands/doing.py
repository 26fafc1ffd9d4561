"""Has orders carried out: by the node that runs, or by being that node for as long as it takes."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from shoal.commands.node import identity_of, take_folder_or_none
from shoal.commands.orders import OrderDesk
from shoal.commands.stopping import Stopper
from shoal.commands.thread_guard import ThreadGuard
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.protocol.control import Report, Task, Working
from shoal.protocol.errors import Kind


class Doer:
    """One node, running or not. A context manager, which has the node's folder while it is open."""

    def __init__(self, cluster: Cluster, entry: NodeEntry) -> None:
        self._cluster = cluster
        self._entry = entry
        self._lock: FolderLock | None = None
        self._agent: Agent | None = None
        self._desk: OrderDesk | None = None
        self._guard = ThreadGuard(self._end)
        self.is_running = False  # Whether the node is, beside this command.

    def __enter__(self) -> Self:
        self._lock = take_folder_or_none(self._entry, None)
        self._guard.__enter__()
        self.is_running = self._lock is None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._close(error)
        finally:
            self._guard.__exit__(kind, error, trace)

    def _end(self, kind: Kind) -> None:
        if self._agent is not None:
            self._agent.cancel_all(kind)

    def _close(self, error: BaseException | None) -> None:
        if self._desk is not None:
            self._desk.close()
        if self._agent is not None:
            try:
                if error is None:
                    self._agent.look_once()
            finally:
                self._agent.stop()
        elif self._lock is not None:
            self._lock.release()

    def carry_out(self, order: Task, on_progress: Callable[[Working], None]) -> Report:
        """Have it done, and the tracker told; raise OperatorError if it could not be done."""
        if self._lock is None:
            return self._open_desk().give(order, on_progress)
        return self._be_the_node(self._lock).carry_out(order, on_progress)

    def _open_desk(self) -> OrderDesk:
        if self._desk is None:
            self._desk = OrderDesk(self._entry.name, self._entry.folder)
            Stopper(self._desk.cancel)
        return self._desk

    def _be_the_node(self, lock: FolderLock) -> Agent:
        if self._agent is None:
            self._agent = Agent(identity_of(self._cluster, self._entry), lock)
            Stopper(self._agent.cancel_all)
            self._agent.start_for_one_fetch()
        return self._agent

"""A node on this machine, to give orders to: the running one, or else this process."""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from shoal.api.folders import identity_of, take_folder_or_none
from shoal.api.orders import OrderDesk
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.protocol.control import Report, Task, Working
from shoal.protocol.errors import Kind, TimedOutError

OnProgress = Callable[[Working], None]


class Worker(Protocol):
    """A node on this machine that carries out orders, as functions of this package need it."""

    @property
    def cluster(self) -> Cluster: ...
    @property
    def entry(self) -> NodeEntry: ...

    def check(self) -> None:
        """Raise OperatorError if what is being done was to stop."""

    def carry_out(self, order: Task, on_progress: OnProgress = ...) -> Report:
        """Have an order carried out; raise OperatorError if it could not be."""


def ignore(_: object) -> None:
    """Ignore what is reported."""


class LocalNode:
    """A context manager. If the node runs, it is given orders.

    Otherwise this process is that node: it takes the folder, and serves and announces it until the
    end. Use it from one thread; `cancel` may be called from any.
    """

    def __init__(
        self, cluster: Cluster, entry: NodeEntry, on_wait: Callable[[str], None] = ignore
    ) -> None:
        """`on_wait` gets a sentence for the user if another command has the folder for long."""
        self.cluster = cluster
        self.entry = entry
        self.is_running = False  # Whether the node runs in a process of its own.
        self._on_wait = on_wait
        self._lock: FolderLock | None = None
        self._agent: Agent | None = None
        self._desk: OrderDesk | None = None
        self._cancelled: Kind | None = None
        self._has_failed = False

    def __enter__(self) -> Self:
        """Take the folder, or find the node that has it.

        Raises:
            DiskError: the folder cannot be used.
            StoppedError, TimedOutError: `cancel` was called while another command had it.
        """
        self._lock = take_folder_or_none(self.entry, self._check_wait, self._on_wait)
        self.is_running = self._lock is None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._desk is not None:
            self._desk.close()
        if self._agent is not None:
            try:
                if error is None and not self._has_failed:
                    self._agent.look_once()
            finally:
                self._agent.stop()
        elif self._lock is not None:
            self._lock.release()

    def cancel(self, kind: Kind) -> None:
        """Make the present order, and all later ones, fail soon with an error of that kind.

        What has been fetched is kept. May be called from any thread, and from a signal handler.
        """
        self._cancelled = kind
        if self._desk is not None:
            self._desk.cancel(kind)
        if self._agent is not None:
            self._agent.cancel_all(kind)

    def check(self) -> None:
        """Raise an error of the kind that `cancel` was given, if it was called."""
        if self._cancelled is not None:
            is_late = issubclass(self._cancelled, TimedOutError)
            raise self._cancelled(f"{'the time is up' if is_late else 'interrupted'}; run it again")

    def carry_out(self, order: Task, on_progress: OnProgress = ignore) -> Report:
        """Have the node carry out an order, and tell the tracker what it changed.

        Raises:
            StoppedError, TimedOutError: `cancel` was called, or the node stopped meanwhile.
            OperatorError: it could not be done; each kind of order has its own reasons.
        """
        try:
            self.check()
            if self._lock is None:
                return self._order_it(order, on_progress)
            return self._do_it(self._lock, order, on_progress)
        except BaseException:
            self._has_failed = True
            raise

    def _check_wait(self, owner: str) -> None:
        if self._cancelled is not None:
            raise self._cancelled(f"{owner}; run this again when it has ended")

    def _order_it(self, order: Task, on_progress: OnProgress) -> Report:
        if self._desk is None:
            self._desk = OrderDesk(self.entry.name, self.entry.home)
            self._cancel_again()
        return self._desk.give(order, on_progress)

    def _do_it(self, lock: FolderLock, order: Task, on_progress: OnProgress) -> Report:
        if self._agent is None:
            self._agent = Agent(identity_of(self.cluster, self.entry), lock)
            self._cancel_again()
            self._agent.start_for_one_fetch()
        return self._agent.carry_out(order, on_progress)

    def _cancel_again(self) -> None:
        """Pass on a `cancel` that came between the check and now."""
        if self._cancelled is not None:
            self.cancel(self._cancelled)

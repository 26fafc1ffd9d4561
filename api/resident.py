"""A node on this machine for as long as a program wants: the running one, or else this process.

Unlike a command (api.local_node) it is used by many threads at a time, takes the orders of other
processes while it is the node, and is taken up anew after a fork.
"""

import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shoal.api.folders import identity_of, take_folder_or_none
from shoal.api.local_node import ignore
from shoal.api.orders import NodeGoneError, OrderDesk
from shoal.config.cluster import Cluster, NodeEntry
from shoal.node.agent import Agent
from shoal.node.network.control_server import ControlServer
from shoal.protocol.control import Report, Task, Working
from shoal.protocol.errors import Kind, OperatorError, StoppedError, TimedOutError

log = logging.getLogger("shoal.node")

AGAIN_S = 0.1
RETRIES = 3  # So often an order is given again whose node was stopped meanwhile.
Cancel = Callable[[Kind], None]


class Resident:
    """Use it from any thread, and after a fork in the child too. `close` it in the end."""

    def __init__(self, cluster: Cluster, entry: NodeEntry) -> None:
        """Does nothing yet: the first order finds the node that runs, or becomes it."""
        self.cluster = cluster
        self.entry = entry
        self._guard = threading.Lock()
        self._pid = os.getpid()
        self._own: _Own | None = None
        self._forked: list[_Own] = []  # A parent's, which a child must not even let go of.
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def give(
        self,
        order: Task,
        on_progress: Callable[[Working], None],
        on_begin: Callable[[Cancel], None],
        check: Callable[[str], None],
    ) -> Report:
        """Have an order carried out; return its report.

        Args:
            order: what to do.
            on_progress: told how far it is, from any thread.
            on_begin: gets what cancels the order, which may be called from any thread.
            check: called while another process has the folder and takes no orders; may raise.

        Raises:
            StoppedError: the node was stopped meanwhile, or this was closed.
            OperatorError: it could not be done.
        """
        own = self.settle(check)
        if own is not None:
            on_begin(lambda kind: own.agent.cancel(order, kind))
            return own.agent.carry_out(order, on_progress)
        desk = OrderDesk(self.entry.name, self.entry.home)
        try:
            on_begin(desk.cancel)
            return desk.give(order, on_progress)
        finally:
            desk.close()

    def close(self) -> None:
        """Be the node no longer, if this process is; what is going on fails."""
        self._notice_fork()
        with self._guard:
            self._is_closed = True
            own, self._own = self._own, None
        if own is not None:
            own.close()

    def _notice_fork(self) -> None:
        """In a child: the parent is the node, and whoever had the lock is not here."""
        if self._pid != os.getpid():
            self._pid, self._guard = os.getpid(), threading.Lock()
            if self._own is not None:
                self._forked.append(self._own)
                self._own = None

    def settle(self, check: Callable[[str], None]) -> "_Own | None":
        """Be the node from now on, unless another process is it; raises as `give`."""
        self._notice_fork()
        with self._guard:
            if self._is_closed:
                raise StoppedError("the session is closed; open another one")
            if self._own is None:
                lock = take_folder_or_none(self.entry, check, ignore)
                if lock is not None:
                    try:
                        agent = Agent(identity_of(self.cluster, self.entry), lock)
                    except BaseException:
                        lock.release()
                        raise
                    self._own = _Own(agent)
            return self._own


class _Own:
    """This process as the node: its agent, and the thread that takes the orders of others."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self._orders: ControlServer | None = None
        try:
            if agent.identity.serves:
                agent.start()
                self._orders = ControlServer(agent, agent.identity.home)
            else:
                agent.start_for_one_fetch()
        except BaseException:
            agent.stop()
            raise
        if self._orders is not None:
            args = (self._orders,)
            self._thread = threading.Thread(target=_run, args=args, name="orders", daemon=True)
            self._thread.start()

    def close(self) -> None:
        self.agent.cancel_all(StoppedError)
        if self._orders is not None:
            self._orders.stop()
            self._thread.join()
        self.agent.stop()


def _run(orders: ControlServer) -> None:
    """Take the orders of other processes; without that they wait until this one has ended."""
    try:
        orders.run()
    except OperatorError as error:
        log.warning("%s", error)


class Lasting:
    """A way to a resident's node for many small orders, one after the other: it lasts."""

    def __init__(self, resident: Resident) -> None:
        """Connects to nobody yet. `close` it in the end."""
        self._resident = resident
        self._desk: OrderDesk | None = None
        self._pid = os.getpid()
        self._forked: list[OrderDesk | None] = []  # A parent's, as above.

    def carry_out(self, order: Task, /) -> Report:
        """Return the report that ends an order, from whichever process is the node by then.

        Raises:
            OperatorError: it could not be done, or the resident was closed.
        """
        for _ in range(RETRIES):
            try:
                return self._give(order)
            except (StoppedError, NodeGoneError):
                if self._resident.is_closed:
                    raise
                self.close()
        return self._give(order)

    def _give(self, order: Task) -> Report:
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._forked.append(self._desk)
            self._desk = None
        if self._desk is None:
            own = self._resident.settle(lambda _: None)
            if own is not None:
                return own.agent.carry_out(order, ignore)
            self._desk = OrderDesk(self._resident.entry.name, self._resident.entry.home)
        return self._desk.give(order, ignore)

    def close(self) -> None:
        """Let go of the connection."""
        if self._desk is not None:
            self._desk.close()
            self._desk = None


class Call:
    """One call of the library: a node's work that ends with its time, or with an interrupt."""

    def __init__(self, resident: Resident, timeout_s: float | None) -> None:
        self.cluster = resident.cluster
        self.entry = resident.entry
        self._resident = resident
        self._cancel_order: Cancel | None = None
        self._cancelled: Kind | None = None
        self._timeout_s = None if timeout_s is None else float(timeout_s)
        self._is_over = threading.Event()
        self._timer = threading.Thread(target=self._time, name="timeout", daemon=True)

    def __enter__(self) -> Self:
        if self._timeout_s is not None:
            self._timer.start()
        self._resident.settle(lambda _: self.check())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()

    def check(self) -> None:
        """Raise an error if the time is up."""
        if self._cancelled is not None:
            raise self._cancelled("the time is up; call it again to resume")

    def carry_out(self, order: Task, on_progress: Callable[[Working], None] = ignore) -> Report:
        """Have the node do it; if it is stopped meanwhile, have another try, as the node itself.

        Raises:
            OperatorError: it could not be done.
        """
        for _ in range(RETRIES):
            try:
                return self._give(order, on_progress)
            except (StoppedError, NodeGoneError):
                self.check()
                if self._resident.is_closed:
                    raise
        return self._give(order, on_progress)

    def _give(self, order: Task, on_progress: Callable[[Working], None]) -> Report:
        self.check()
        try:
            return self._resident.give(order, on_progress, self._begun, lambda _: self.check())
        except BaseException as error:
            if not isinstance(error, Exception) and self._cancel_order is not None:
                self._cancel_order(StoppedError)  # An interrupt: nobody waits for it any more.
            raise

    def _begun(self, cancel: Cancel) -> None:
        self._cancel_order = cancel

    def _time(self) -> None:
        """Cancel what is done when the time is up; again, as it may just have been beginning."""
        pause_s = self._timeout_s
        while not self._is_over.wait(pause_s):
            self._cancelled = TimedOutError
            if self._cancel_order is not None:
                self._cancel_order(TimedOutError)
            pause_s = AGAIN_S

"""A host with a node or the tracker: started, stopped, paused and killed, with its disk."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
from shoal.broker.server import Server
from shoal.broker.sqlite_store import SqliteStore
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.node.agent import Agent
from shoal.node.folder.lock import FolderLock
from shoal.node.network.rates import RateLimits
from shoal.node.orders.identity import Identity
from shoal.protocol.control import FetchOrder, OpenOrder, ReadOrder, Report, Task
from shoal.protocol.errors import OperatorError, refused
from shoal.protocol.permits import Publish
from shoal.protocol.trackers import Trackers
from shoal.wire.curve import gate_of
from shoal.wire.wake import Wake

from tests.simulation.faults import disk
from tests.simulation.faults.threads import Process, Thread, the_loop
from tests.simulation.faults.trace import Finding
from tests.simulation.faults.watched import WatchedTracker

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster

TRACKER_ADDRESS = "tcp://10.0.0.250:4000"
ENDS_S = 1.0
FAILED_START_S = 5.0  # Until systemd starts it again.


class Host:
    """One machine, on which one program runs, or none."""

    def __init__(self, cluster: "Cluster", name: str, address: str) -> None:
        self.cluster = cluster
        self.name = name
        self.address = address
        self.folder: Path = cluster.scratch / name
        self.folder.mkdir()
        self.process: Process | None = None
        rng = random.Random(cluster.rng.getrandbits(64))
        self.disk = disk.Disk(name, self.folder, rng, cluster.hits)
        self.disk.on_kill = self.kill
        disk.mount(self.disk)
        cluster.net.hosts[address] = name

    @property
    def is_up(self) -> bool:
        return self.process is not None and not self.process.is_dead

    def start(self) -> None:
        """Start the program, unless it runs; when the last run is over."""
        loop = self.cluster.loop
        if self.process is not None and self.process.is_dead and not self.process.is_over:
            loop.at(loop.now + 0.01, self.start)
        elif not self.is_up:
            self.process = process = Process(loop, self.name, loop.next_number())
            self.cluster.trace.note(f"{self.name} starts")
            process.start(lambda: self._run(process))

    def kill(self) -> None:
        """End it as SIGKILL does."""
        if self.process is not None and self.is_up:
            self.cluster.trace.note(f"{self.name} is killed")
            self.process.kill()
            self.gone()

    def gone(self) -> None:
        """Forget what was in memory."""

    def reload(self) -> None:
        """Have it read the cluster file again, as SIGHUP does; a stopped one, when it goes on."""
        if self.process is not None and self.is_up:
            self.process.when_running(self._reload)

    def _reload(self) -> None:
        self.cluster.keyrings.reload(self.name)

    def _run(self, process: Process) -> None:
        try:
            self._main(process)
        except (OperatorError, OSError) as error:  # What the command line expects too.
            self.cluster.trace.note(f"{self.name} cannot start: {error}")
            process.end()
            self.cluster.loop.at(self.cluster.loop.now + FAILED_START_S, self._start_again)

    def _start_again(self) -> None:
        if self.process is not None and self.process.is_dead:
            self.start()

    def _main(self, process: Process) -> None:
        raise NotImplementedError


class TrackerHost(Host):
    """The tracker, as `shoal tracker` runs it."""

    def __init__(
        self, cluster: "Cluster", name: str = "tracker", address: str = TRACKER_ADDRESS
    ) -> None:
        super().__init__(cluster, name, address)
        self.tracker: WatchedTracker | None = None
        self._server: Server | None = None

    def gone(self) -> None:
        self.tracker = self._server = None

    def forget(self) -> None:
        """Lose the state: the database is gone."""
        if not self.is_up:
            for path in sorted(self.folder.iterdir()):
                path.unlink()
            self.cluster.ledger.lost()

    def _reload(self) -> None:
        super()._reload()
        tracker, server = self.tracker, self._server
        if tracker is not None and server is not None:
            server.do(lambda: tracker.learn(self._initial()))

    def _initial(self) -> Initial:
        cluster = self.cluster
        cluster.ledger.zones = dict(cluster.zones)
        nodes = {
            name: InitialNode(node.address, cluster.zones[name])
            for name, node in cluster.nodes.items()
            if name in cluster.zones
        }
        keys = cluster.keyrings.file
        publish = Publish.MEMBERS if keys is None else keys.publish
        others = tuple(one for one in cluster.tracker_addresses if one != self.address)
        how = {"publish": publish, "accepts_pushes": True, "cluster_up": cluster.rate_together}
        return Initial(self.address, nodes, others=others, **how)  # type: ignore[arg-type]

    def _main(self, _: Process) -> None:
        clock = self.cluster.clock
        ring = self.cluster.keyrings.ring(self.name)
        context: Any = zmq.Context()
        store = SqliteStore(self.folder / "tracker.db")
        state = store.load()
        rng = random.Random()
        self.tracker = WatchedTracker(self._initial(), rng, clock(), state)
        server = self._server = Server(self.tracker, store, clock)
        server.bind(context, self.address, gate_of(ring))
        server.serve(Wake())


class Order:
    """An order to a node, and what came of it."""

    def __init__(self, waiting: Thread | None) -> None:
        self.outcome: Report | OperatorError | None = None  # None: it was killed.
        self.is_over = False
        self._waiting = waiting

    def end(self) -> None:
        """Let its user go on."""
        self.is_over = True
        if self._waiting is not None:
            the_loop().wake(self._waiting)


class NodeHost(Host):
    """A node, as `shoal node` runs it; its user's orders come from outside."""

    def __init__(self, cluster: "Cluster", name: str, number: int, quota_bytes: int | None) -> None:
        super().__init__(cluster, name, f"tcp://10.0.0.{number}:5000")
        self.agent: Agent | None = None
        self.obeys = True
        self.in_place = False
        self.limits = RateLimits()
        self.state_folder: Path | None = None
        self.read_only = False
        self.orders: list[Order] = []
        self._waiting: list[Thread] = []
        self._quota_bytes = quota_bytes
        self.disk.on_named = lambda path: cluster.checks.named(self, path)
        self.disk.on_done = lambda call, path: cluster.outside.done_to(self, call, path)

    def keep_state_elsewhere(self, *, read_only: bool) -> None:
        """Have its `.shoal` outside of its folder, which is perhaps only read. Before `start`."""
        self.state_folder, self.read_only = self.cluster.scratch / f"{self.name}-state", read_only
        self.disk.has_places |= read_only
        self.cluster.hits["folder only read" if read_only else "state elsewhere"] += 1

    @property
    def home(self) -> Path:
        """What its `.shoal` is in."""
        return self.state_folder or self.folder

    def named(self, name: str) -> Path:
        """Return what has a name: in the folder, or a link, which may be elsewhere."""
        link = self.home / name
        return link if self.read_only and link.is_symlink() else self.folder / name

    def place(self, path: str) -> Path:
        """Return where a path in the folder leads if its thing may be a link to elsewhere."""
        name, _, inside = path.partition("/")
        top = self.named(name)
        top = top.readlink() if top.is_symlink() else top
        return top / inside if inside else top

    def lift_quota(self) -> None:
        """Have it take in anything from its next start on, which is now."""
        if self._quota_bytes is not None:
            self._quota_bytes = None
            self.kill()

    def gone(self) -> None:
        self.agent = None
        for order in self.orders:
            order.end()
        self.orders.clear()

    def _reload(self) -> None:
        super()._reload()
        if self.agent is not None:
            self.agent.limit(self.limits)

    def wait_until_up(self) -> None:
        """Have the current thread wait until the node takes orders."""
        loop = self.cluster.loop
        while self.agent is None:
            me = loop.current()
            assert me is not None
            self._waiting.append(me)
            loop.park()

    def order(self, task: Task) -> Order:
        """Give the node an order."""
        if isinstance(task, FetchOrder | OpenOrder | ReadOrder):
            self.cluster.ledger.ordered(self.name, task.what)
        return self.do(lambda agent: agent.carry_out(task, lambda _: None))

    def do(self, work: Callable[[Agent], Report]) -> Order:
        """Have something done in the node's process."""
        order = Order(self.cluster.loop.current())
        assert self.process is not None
        assert self.agent is not None
        agent = self.agent
        self.orders.append(order)
        self.process.start(lambda: self._carry_out(work, agent, order), "order")
        return order

    def stop(self, then: Callable[[], None] = lambda: None) -> None:
        """Stop it as SIGTERM does."""
        process, agent = self.process, self.agent
        if process is None or agent is None or process.is_dead:
            return
        self.agent = None

        def work() -> None:
            agent.stop()
            self.cluster.trace.note(f"{self.name} has stopped")
            self.cluster.loop.pass_time(ENDS_S)  # What was cancelled ends by itself.
            self._require_nothing_left(process, me)
            self.gone()
            process.end()
            then()

        me = process.start(work, "stop")

    def _require_nothing_left(self, process: Process, me: object) -> None:
        threads = [one for one in process.threads if one is not me and one.name != "order"]
        left = disk.left_open(process)
        if threads:
            raise Finding("left open", f"{self.name}: the thread {threads[0].name} did not end")
        if left:
            raise Finding("left open", f"{self.name}: {left} descriptors were left open")

    def _carry_out(self, work: Callable[[Agent], Report], agent: Agent, order: Order) -> None:
        try:
            order.outcome = work(agent)
        except OperatorError as error:
            order.outcome = error
        except OSError as error:
            order.outcome = refused(error)
        finally:
            order.end()
            if order in self.orders:
                self.orders.remove(order)

    def _main(self, _: Process) -> None:
        trackers = Trackers(self.cluster.tracker_addresses, self.name)
        clock = self.cluster.clock
        places = self.name, self.address, self.folder, trackers, self._quota_bytes
        identity = Identity(
            *places,
            obeys=self.obeys,
            in_place=self.in_place,
            state_folder=self.state_folder,
            read_only=self.read_only,
            limits=self.limits,
            ring=self.cluster.keyrings.ring(self.name),
        )
        agent = Agent(identity, FolderLock.take(self.home))
        started = clock()
        try:
            agent.start()
        except (OperatorError, OSError):
            agent.stop()
            raise
        self.cluster.trace.note(f"{self.name} has started in {clock() - started:.3f} s")
        self.agent = agent
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self.cluster.loop.wake(each)

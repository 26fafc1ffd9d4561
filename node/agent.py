"""One node, put together: its folder, its server, its session with the tracker, its orders.

The command `node` keeps one running; `fetch` and `share` run one for as long as they take.
"""

import logging
import random
from collections.abc import Callable

import zmq
from shoal.node.folder import leftovers
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.lock import FolderLock
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.watcher import Watcher
from shoal.node.network.chunk_server import ChunkServer
from shoal.node.network.session import Session
from shoal.node.orders.fetches import Fetches
from shoal.node.orders.forgetting import Forgetting
from shoal.node.orders.healer import Healer
from shoal.node.orders.home import Home
from shoal.node.orders.identity import Identity
from shoal.node.orders.jobs import Jobs
from shoal.node.orders.sharing import Shares
from shoal.node.orders.sweeper import Sweeper
from shoal.node.orders.verifying import Verifying
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.settings import NodeSettings
from shoal.node.staging.remains import Remains
from shoal.protocol.control import (
    DiscardOrder,
    Fetched,
    FetchOrder,
    ForgetOrder,
    Report,
    ShareOrder,
    Task,
    VerifyOrder,
    Working,
)
from shoal.protocol.errors import Kind, OperatorError, StoppedError, TimedOutError, TrackerError
from shoal.protocol.messages import State, Told
from shoal.protocol.names import display
from shoal.protocol.titles import Title

log = logging.getLogger("shoal.node")

LOOK_S = 1.0  # A command does not hash a whole folder that it has never seen before.
OnProgress = Callable[[Working], None]

# After these errors nobody waits for the tracker any more, or it does not answer.
_IN_A_HURRY = TrackerError, TimedOutError, StoppedError

ANNOUNCE_S = 3.0  # How long a finished order waits for the tracker to know.


class Agent:
    """One node, from `start` to `stop`. Owns the folder's lock, which the caller has taken."""

    def __init__(self, identity: Identity, lock: FolderLock) -> None:
        settings = NodeSettings()
        state = identity.folder / ".shoal"
        rng = random.Random()  # noqa: S311 (jitter, not secrets)
        self.identity = identity
        self._lock = lock
        self._rules = Rules(state)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, 4096)
        self._cache = Cache(state / "cache.db")
        self._register = Register(self._cache, identity.name)
        epoch = self._cache.next_epoch()
        announcer = Announcer(identity.name, identity.address, epoch, rng, settings)
        self._session = Session(self._context, identity.tracker_address, announcer, self._told)
        self.inventory = Inventory(self._session.tell)
        known = self._cache, self._rules, self._register
        self._watcher = Watcher(
            identity.folder, self.inventory, *known, self._session.tell_that_is_all
        )
        quota = Quota(identity.folder, identity.name, identity.quota_bytes)
        remains = Remains(identity.folder, self.inventory)
        parts = self._watcher, quota, remains
        home = Home(identity, self._context, self.inventory, *known, *parts)
        self._jobs = Jobs()
        self._fetches = Fetches(home, self._jobs)
        self._shares = Shares(home, self._announce)
        self._forgetting = Forgetting(home, self._announce)
        self._verifying = Verifying(home, self._jobs, self._fetches, self._announce)
        self._healer = Healer(home, self._verifying)
        self._sweeper = Sweeper(home)
        told = self._watcher.forget, self._healer.take
        self._server = ChunkServer(self._context, self.inventory, *told, self.state_of, settings)

    def start(self) -> None:
        """Serve, announce and look after the folder.

        Raises:
            OperatorError: the address cannot be bound.
        """
        leftovers.sweep(self.identity.folder)
        self._server.start(self.identity.address)
        self._watcher.start(self.identity.rescan_s)
        self._session.start()
        self._healer.start()
        self._sweeper.start()

    def start_for_one_fetch(self) -> None:
        """The same for a command: if the address is taken, it fetches without serving."""
        leftovers.sweep(self.identity.folder)
        try:
            self._server.start(self.identity.address)
        except OperatorError as error:
            log.warning("%s; fetching without serving", error)
        self._session.start()
        self._healer.start()
        self._sweeper.drop_old()

    def state_of(self, name: str, content_id: str | None) -> State:
        """Return how much of a thing is here, of that version if one is meant.

        May be called from any thread, and waits for nothing.
        """
        whole = self.inventory.whole(name)
        if whole is not None and content_id in {None, whole.id}:
            return State("whole", whole.size_bytes, whole.size_bytes)
        part = self.inventory.part(name, content_id)
        if part is not None:
            return State("part", part.have_bytes, part.size_bytes)
        if self._register.withheld(name) is not None:
            return State("changed")
        hashing = self._watcher.hashing(name)
        if hashing is not None:
            return State("hashing", *hashing)
        return State("none" if whole is None else "other")

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until all files that were in the folder at the start are served."""
        return self._watcher.wait_for_first_look(timeout_s)

    def look_once(self) -> None:
        """Have the tracker told of the whole folder, if that is quick, before a command ends."""
        self._watcher.look_once(LOOK_S)
        self._announce()

    def fetch(self, order: FetchOrder, on_progress: OnProgress) -> Fetched:
        """Fetch into the folder, or to the order's output, and announce it.

        Raises:
            OperatorError: it could not be fetched.
        """
        what = display(order.what)
        log.info("fetching %s", what)
        try:
            fetched = self._fetches.fetch(order, on_progress)
        except OperatorError as error:
            log.info("fetching %s failed: %s", what, display(str(error)))
            if not isinstance(error, _IN_A_HURRY):
                self._announce()  # The partial thing that was served meanwhile is gone.
            raise
        log.info("fetched %s: %d bytes in %.2f s", what, fetched.size_bytes, fetched.elapsed_s)
        self._announce()  # With --output too: the partial thing that was served is gone.
        return fetched

    def carry_out(self, order: Task, on_progress: OnProgress) -> Report:
        """Carry out an order.

        Raises:
            OperatorError: it failed.
        """
        match order:
            case FetchOrder():
                return self.fetch(order, on_progress)
            case ShareOrder():
                return self._shares.share(order, on_progress)
            case ForgetOrder():
                return self._forgetting.forget(order)
            case VerifyOrder():
                return self._verifying.verify(order, on_progress)
            case DiscardOrder():
                return self._sweeper.discard(order)

    def cancel(self, order: Task, kind: Kind) -> None:
        """Stop carrying out an order, if it is one that takes long and loses nothing by that."""
        self._jobs.cancel(order, kind)

    def cancel_all(self, kind: Kind) -> None:
        """Stop everything that takes long, now and later. For signal handlers too."""
        self._watcher.interrupt()
        self._jobs.cancel_all(kind)

    def stop(self) -> None:
        """Stop serving, say goodbye to the tracker, release the folder."""
        self.cancel_all(StoppedError)
        self._healer.stop()
        self._sweeper.stop()
        self._server.stop()
        self._watcher.stop()
        self._session.stop()
        self._cache.close()
        self._context.term()
        self._lock.release()

    def _announce(self) -> bool:
        announced = self._session.flush(ANNOUNCE_S)
        if not announced:
            log.warning("the tracker is unreachable; it will be updated when it comes back")
        return announced

    def _told(self, told: Told) -> None:
        """Take in which version the tracker says a holding is, or that it is none."""
        if not told.taken:
            self._register.refuse(told)
            self.inventory.remove(told.name, told.id)
            return
        title = Title(told.id, told.version, told.publisher)
        thing = self.inventory.whole(told.name)
        if thing is not None and thing.id == told.id:
            self._register.note(told.name, title)
        self.inventory.entitle(told.name, title)

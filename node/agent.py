"""One node, put together: its folder, its server, its session with the tracker, its orders.

The command `node` keeps one running; `fetch` and `share` run one for as long as they take.
"""

import contextlib
import functools
import logging
import random
from collections.abc import Callable

import msgspec
import zmq
from shoal import __version__
from shoal.node.folder import leftovers, token
from shoal.node.folder.cache import Cache
from shoal.node.folder.inventory import Inventory
from shoal.node.folder.lock import FolderLock
from shoal.node.folder.quota import Quota
from shoal.node.folder.register import Register
from shoal.node.folder.rules import Rules
from shoal.node.folder.settling import Settler
from shoal.node.folder.watcher import Watcher
from shoal.node.network.chunk_server import ChunkServer
from shoal.node.network.rates import RateLimits, Rates
from shoal.node.network.session import Session
from shoal.node.network.totals import Totals
from shoal.node.orders.activity import Activity
from shoal.node.orders.condition import Condition
from shoal.node.orders.fetch_log import FetchLog
from shoal.node.orders.fetches import Fetches
from shoal.node.orders.forgetting import Forgetting
from shoal.node.orders.healer import Healer
from shoal.node.orders.home import Home
from shoal.node.orders.identity import Identity
from shoal.node.orders.jobs import Jobs
from shoal.node.orders.obeying import Obeying
from shoal.node.orders.reading import Reading
from shoal.node.orders.sharing import Shares
from shoal.node.orders.sweeper import Sweeper
from shoal.node.orders.verifying import Verifying
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.settings import NodeSettings
from shoal.node.staging.remains import Remains
from shoal.protocol import addresses, bitmap
from shoal.protocol.control import (
    CloseOrder,
    DiscardOrder,
    Fetched,
    FetchOrder,
    ForgetOrder,
    OpenOrder,
    ReadOrder,
    Report,
    ShareOrder,
    Task,
    VerifyOrder,
    Working,
)
from shoal.protocol.errors import Kind, OperatorError, StoppedError, TimedOutError, TrackerError
from shoal.protocol.messages import State, Told
from shoal.protocol.titles import Title
from shoal.system import link_rate
from shoal.wire.curve import gate_of
from shoal.wire.host_names import HOST_NAMES, HostNameError

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
        state = identity.home / ".shoal"
        self.identity = identity
        self._lock = lock
        self._rules = Rules(state)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.set(zmq.MAX_SOCKETS, 4096)
        self._cache = Cache(state / "cache.db")
        self._register = Register(self._cache, identity.name)
        rng = random.Random()  # noqa: S311 (jitter, not secrets)
        named = identity.name, identity.address, self._cache.next_epoch()
        self._announcer = Announcer(*named, rng, settings, token.load(state))
        told = self._told, functools.partial(token.save, state)
        self._session = Session(
            self._context, identity.trackers, self._announcer, *told, identity.ring
        )
        self._session.speak_from(identity.listen)
        self.inventory = Inventory(self._session.tell)
        self._rates = Rates(identity.limits)
        known = self._cache, self._rules, self._register
        self._watcher = Watcher(
            identity.folder, self.inventory, *known, self._session.tell_that_is_all
        )
        if identity.read_only:
            self._watcher.only_read(identity.writable)
        self._settler = Settler(identity.folder, self._cache, self._rules, identity.place)
        parts = (
            self._watcher,
            Quota(identity.folder, identity.name, identity.quota_bytes),
            Remains(identity.writable, self.inventory),
        )
        own = self._session.token, Totals(), self._rates
        home = Home(identity, self._context, self.inventory, *known, *parts, *own)
        self._take_orders(home, settings)

    def _take_orders(self, home: Home, settings: NodeSettings) -> None:
        """Make what carries out orders, of users, of others and of the tracker."""
        self._jobs = Jobs()
        self._fetches = Fetches(home, self._jobs)
        self._reading = Reading(home, self._fetch_for_readers, self._jobs.cancel)
        self._shares = Shares(home, self._announce, lambda: self._session.refusal)
        self._forgetting = Forgetting(home, self._announce)
        self._verifying = Verifying(home, self._jobs, self._fetches, self._announce)
        self._healer = Healer(home, self._verifying)
        self._watcher.tell_of_damage(self._healer.take_in)
        self._sweeper = Sweeper(home, self._jobs)
        told_of = self._watcher.forget, self._healer.take, self.state_of
        self._server = ChunkServer(self.inventory, *told_of, settings, self._rates)
        going_on = home.watcher.all_hashing, lambda: self._server.sent_bytes
        card = functools.partial(_card_rate, home.identity.bound_to)
        self._activity = Activity(home.identity.folder, __version__, *going_on, card)
        calls = self._fetch_wished, self._jobs.cancel, self._session.nudge
        self._obeying = Obeying(home, self._activity, *calls)
        self._session.borrow(self._rates)
        self._rates.on_wants = self._session.nudge
        looked_at = self._server, self._session, self._activity, self._obeying
        self.condition = Condition(home, *looked_at)

    def start(self) -> None:
        """Serve, announce and look after the folder.

        Raises:
            OperatorError: the address cannot be bound.
        """
        leftovers.sweep(self.identity.writable)
        self._server.start(self.identity.bound_to, gate_of(self.identity.ring))
        self._watcher.start(self.identity.rescan_s)
        self._settle_address()
        self._session.run_errands(self._obeying)
        self._session.start()
        self._healer.start()
        self._sweeper.start()
        self._settler.start()
        if self.identity.obeys:
            self._obeying.start()

    def start_for_one_fetch(self) -> None:
        """The same for a command: if the address is taken, it fetches without serving.

        A reader never serves, and says nothing to the tracker.
        """
        leftovers.sweep(self.identity.writable)
        if self.identity.serves:
            self._serve_if_possible()
            self._session.start()
        self._healer.start()
        self._sweeper.drop_old()

    def _serve_if_possible(self) -> None:
        try:
            self._server.start(self.identity.bound_to, gate_of(self.identity.ring))
            self._settle_address()
        except OperatorError as error:
            log.warning("%s; fetching without serving", error)

    def state_of(self, name: str, content_id: str | None) -> State:
        """Return how much of a thing is here, of that version if one is meant.

        May be called from any thread, and waits for nothing.
        """
        whole = self.inventory.whole(name)
        if whole is not None and content_id in {None, whole.id}:
            return State("whole", whole.size_bytes, whole.size_bytes)
        part = self.inventory.part(name, content_id)
        if part is not None:
            count = part.chunk_count
            have = bitmap.to_bytes(part.have, count)
            return State("part", part.have_bytes, part.size_bytes, count, have)
        if self._register.withheld(name) is not None:
            return State("changed")
        hashing = self._watcher.hashing(name)
        if hashing is not None:
            return State("hashing", *hashing)
        return State("none" if whole is None else "other")

    def follow(self, name: str) -> None:
        """Serve what a link in the folder leads to, unless it was forgotten. Before `start`."""
        rule = self._rules.of(name)
        if not rule.linked:
            self._rules.set(name, msgspec.structs.replace(rule, linked=True))

    def limit(self, limits: RateLimits) -> None:
        """Go by other limits from now on. May be called from any thread."""
        self._rates.set(limits)

    def wait_for_first_look(self, timeout_s: float | None = None) -> bool:
        """Wait until all files that were in the folder at the start are served."""
        return self._watcher.wait_for_first_look(timeout_s)

    def look_once(self) -> None:
        """Have the tracker told of the whole folder, if that is quick, before a command ends."""
        if self.identity.serves:
            self._watcher.look_once(LOOK_S)
            self._announce()

    def fetch(
        self,
        order: FetchOrder,
        on_progress: OnProgress,
        content_id: str | None = None,
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Fetched:
        """Fetch into the folder, or to the order's output, and announce it.

        `content_id` is what will be fetched, if that is known; `is_wanted` tells whether the order
        still holds when it is about to begin.

        Raises:
            OperatorError: it could not be fetched.
        """
        lines = FetchLog(order.what, is_pushed=content_id is not None)
        lines.begin()

        def follow(working: Working) -> None:
            lines.note(working)
            on_progress(working)

        try:
            with self._activity.fetching(content_id, follow) as note:
                fetched = self._fetches.fetch(order, note, is_wanted)
        except OperatorError as error:
            lines.failed(error)
            if not isinstance(error, _IN_A_HURRY):
                self._announce()  # The partial thing that was served meanwhile is gone.
            raise
        lines.done(fetched)
        self._announce()  # With --output too: the partial thing that was served is gone.
        return fetched

    def _fetch_wished(
        self,
        order: FetchOrder,
        on_progress: OnProgress,
        content_id: str,
        is_wanted: Callable[[], bool],
    ) -> Fetched:
        """Fetch what is pushed."""
        return self.fetch(order, on_progress, content_id, is_wanted)

    def _fetch_for_readers(
        self, order: FetchOrder, on_progress: OnProgress, is_wanted: Callable[[], bool]
    ) -> Fetched:
        """Fetch what somebody reads meanwhile."""
        return self.fetch(order, on_progress, None, is_wanted)

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
            case OpenOrder() | ReadOrder() | CloseOrder():
                return self._reading.carry_out(order)

    def cancel(self, order: Task, kind: Kind) -> None:
        """Stop carrying out an order, if it is one that takes long and loses nothing by that."""
        self._jobs.cancel(order, kind)
        self._reading.cancel(order, kind)

    def cancel_all(self, kind: Kind) -> None:
        """Stop everything that takes long, now and later. For signal handlers too."""
        self._watcher.interrupt()
        self._reading.cancel_all(kind)
        self._jobs.cancel_all(kind)

    def stop(self) -> None:
        """Stop serving, say goodbye to the tracker, release the folder."""
        self.cancel_all(StoppedError)
        self._reading.stop()
        self._obeying.stop()
        self._healer.stop()
        self._sweeper.stop()
        self._settler.stop()
        self._server.stop()
        self._watcher.stop()
        self._session.stop()
        self._cache.close()
        self._context.term()
        self._lock.release()

    def _announce(self) -> bool:
        if not self.identity.serves:
            return True  # There is nothing to announce.
        announced = self._session.flush(ANNOUNCE_S)
        if not announced and self._session.refusal is None:
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

    def _settle_address(self) -> None:
        """Have the number announced at which others find this node.

        Raises:
            OperatorError: the name service does not know it; it only had to know where to listen.
        """
        address = self.identity.address
        try:
            self._announcer.address = HOST_NAMES.wait(address)
        except HostNameError as error:
            remedy = "correct the address in the cluster file, or the name service"
            raise OperatorError(f"cannot announce {address}: {error}; {remedy}") from None


def _card_rate(address: str) -> float | None:
    """Return the rate in bytes/s of the card at which a node listens; None if it is unknown."""
    with contextlib.suppress(ValueError):  # A reader has no address.
        return link_rate.of(addresses.split(HOST_NAMES.best(address))[0])
    return None

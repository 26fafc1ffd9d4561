"""The thread that keeps the tracker informed of what the node holds.

Decides neither what to say nor when (serving.announcer).
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Protocol

import zmq
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.conversation import BUSY_S, Conversation
from shoal.protocol.errors import NotAllowedError, TrackerError
from shoal.protocol.keyring import Keyring, towards_tracker
from shoal.protocol.messages import Holding, Ok, Told, TrackerReply, Withdrawal
from shoal.protocol.pushing import Doing, Wish
from shoal.protocol.trackers import Trackers
from shoal.system.pulse import Pulse
from shoal.wire import origin
from shoal.wire.tracker_client import TrackerClient
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

FAREWELL_S = 1.0  # A tracker that does not answer must not hold up our end.


class Errands(Protocol):
    """What a node does for the tracker, and tells it of."""

    node: str
    obeys: bool  # Else it wants to hear of no wishes.

    @property
    def is_busy(self) -> bool:
        """Whether people may be watching: then the tracker hears of it every BUSY_S."""

    def doing(self) -> Doing: ...
    def take(self, wishes: list[Wish]) -> None: ...


class Borrower(Protocol):
    """What a node may send of what all may; rates are in bytes/s."""

    @property
    def wants(self) -> int:
        """What it could send; 0: it sends nothing now."""

    def lent(self, rate: int | None, now: float) -> None: ...


class Session:
    """One node's session with the tracker, from `start` to `stop`."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        trackers: Trackers,
        announcer: Announcer,
        on_told: Callable[[Told], None],
        on_token: Callable[[str], None] = lambda _: None,
        ring: Keyring | None = None,
    ) -> None:
        """`on_told` is called from the session's thread with the tracker's word on a holding.

        So is `on_token`, with the token to show from now on.
        """
        self._context = context
        self._trackers = trackers
        self._ring = ring
        self._listen: str | None = None
        self._announcer = announcer
        self._talk = Conversation(announcer)
        self._on_told = on_told
        self._on_token = on_token
        self._errands: Errands | None = None
        self._borrower: Borrower | None = None
        self._is_nudged = False
        self._news: queue.SimpleQueue[Holding | Withdrawal | None] = queue.SimpleQueue()
        self._is_listening = False  # For news; while an answer is awaited they can wait too.
        self._wake = Wake()
        self._spoke_to = ""  # The address of the tracker that was asked last, …
        self._answered_by = ""  # … and of the one that answered.
        self._is_stopping = False
        self._is_over = False  # Nothing will be confirmed any more.
        self._asked = 0  # How often `flush` was called …
        self._confirmed = 0  # … and which call the tracker's knowledge has caught up with.
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="session", daemon=True)
        self._is_reached: bool | None = None  # Not known yet.
        self.pulse = Pulse()
        self.refusal: NotAllowedError | None = None  # Why the tracker does not let us in now.

    @property
    def is_registered(self) -> bool:
        """Whether the tracker answers, and has been told of all that there is. For any thread."""
        return bool(self._is_reached) and self._announcer.is_registered

    def token(self) -> str:
        """What shows the tracker who is asking; empty if it has not told one. For any thread."""
        return self._announcer.token

    def speak_from(self, listen: str | None) -> None:
        """Be told where the node listens, if that is not its address; before `start`."""
        self._listen = listen

    def run_errands(self, errands: Errands) -> None:
        """Hear what the tracker wishes, and tell it what the node does; before `start`."""
        self._errands = errands
        if errands.obeys:
            self._talk.obey_as(errands.node)

    def borrow(self, borrower: Borrower) -> None:
        """Tell the tracker what the node could send, and hear what it may; before `start`."""
        self._borrower = borrower

    def start(self) -> None:
        self._thread.start()

    def tell(self, change: Holding | Withdrawal) -> None:
        """Announce that something is held, or no longer held. May be called from any thread."""
        self._put(change)

    def tell_that_is_all(self) -> None:
        """Announce that nothing is held but what has been announced."""
        self._put(None)

    def flush(self, timeout_s: float) -> bool:
        """Wait until the tracker knows all that `tell` was called with; say whether it does."""
        with self._progress:
            self._asked += 1
            wanted = self._asked
            self._wake.set()
            self._progress.wait_for(lambda: self._confirmed >= wanted or self._is_over, timeout_s)
            return self._confirmed >= wanted

    def nudge(self) -> None:
        """Have the tracker told soon what the node is doing. May be called from any thread."""
        self._is_nudged = True
        self._wake.set()

    def stop(self) -> None:
        """Say goodbye and end; takes no longer than FAREWELL_S."""
        self._is_stopping = True
        self._wake.set()
        if self._thread.ident is not None:  # It was started: the address could be bound.
            self._thread.join()
        self._wake.close()

    def _run(self) -> None:
        try:
            self._speak()
        finally:
            with self._progress:
                self._is_over = True
                self._progress.notify_all()

    def _speak(self) -> None:
        client = self._client()
        poller = zmq.Poller()
        for sock in (client.socket, client.monitor, self._wake):
            poller.register(sock, zmq.POLLIN)
        try:
            while not self._is_stopping:
                self.pulse.since = time.monotonic()
                self._hear(client)
                asked = (
                    self._asked
                )  # Before the news is taken, which then has all that was told earlier.
                now = time.monotonic()
                self._take_news(now)
                self._tell_doing(now)
                message = None if client.is_waiting else self._talk.next_message(now)
                if message is not None:
                    if client.is_over:
                        self._renew(client, poller)
                    client.send(message, now)
                    self._note_tracker(client, now)
                self._confirm(asked)
                self._is_listening = not client.is_waiting
                self.pulse.rest()
                if not self._is_listening or self._news.empty():
                    poller.poll(self._milliseconds_left(client))
                self._is_listening = False
                self._wake.clear()
            self._say_goodbye(client)
        finally:
            client.close()

    def _client(self) -> TrackerClient:
        towards = towards_tracker(self._ring)
        source = origin.of(self._announcer.address, self._listen)
        client = TrackerClient(self._context, self._trackers, 1, towards, source)
        self._spoke_to = client.address
        return client

    def _tell_doing(self, now: float) -> None:
        self._tell_wants(now)
        if self._errands is None:
            return
        how = {"is_busy": self._errands.is_busy, "is_nudged": self._is_nudged}
        within_s = self._talk.tells_within_s(now, **how)
        if within_s is not None:
            self._is_nudged = False
            self._announcer.tell_doing(self._errands.doing(), now, within_s=within_s)

    def _tell_wants(self, now: float) -> None:
        wants = 0 if self._borrower is None else self._borrower.wants
        if wants != self._announcer.wants or wants:
            self._announcer.tell_wants(wants, now, within_s=BUSY_S)

    def _lent(self, rate: int | None) -> None:
        if self._borrower is not None:
            self._borrower.lent(rate, time.monotonic())

    def _hear(self, client: TrackerClient) -> None:
        now = time.monotonic()
        try:
            reply = client.receive(now)
        except (TrackerError, NotAllowedError) as error:
            self._note_reached(error)
            self._talk.unanswered(now)
            reply = None
        self._note_tracker(client, now)
        if reply is not None:
            self._note_answer(client.address)
            self._answered(reply, now)
        self._take_wishes(client)
        for told in self._announcer.taken_told():
            self._on_told(told)

    def _note_answer(self, address: str) -> None:
        if self._answered_by not in {"", address}:
            log.info("the tracker at %s answers, not the one at %s", address, self._answered_by)
        self._answered_by = address

    def _answered(self, reply: TrackerReply, now: float) -> None:
        before, token = self._announcer.trouble, self._announcer.token
        if not self._talk.answered(reply, now):
            return
        if self._announcer.token != token:
            self._on_token(self._announcer.token)
        self._note_reached(None)
        if self._announcer.trouble not in {None, before}:
            log.warning("the tracker refused: %s", self._announcer.trouble)
        if isinstance(reply, Ok):
            self._lent(reply.lent)

    def _take_wishes(self, client: TrackerClient) -> None:
        news = client.taken_news()
        if news is not None:
            self._talk.heard(news.revision)
            self._lent(news.lent)
        wishes = self._talk.taken_wishes()
        if wishes is not None and self._errands is not None:
            self._errands.take(wishes)

    def _put(self, news: Holding | Withdrawal | None) -> None:
        self._news.put(news)
        if self._is_listening:  # Else it looks before it listens again.
            self._is_listening = False
            self._wake.set()

    def _take_news(self, now: float) -> None:
        for _ in range(self._news.qsize()):
            match self._news.get():
                case Holding() as holding:
                    self._announcer.added(holding, now)
                case Withdrawal(name, content_id):
                    self._announcer.removed((name, content_id), now)
                case None:
                    self._announcer.all_known(now)

    def _renew(self, client: TrackerClient, poller: zmq.Poller) -> None:
        """Connect again: our key may be known by now."""
        poller.unregister(client.socket)
        poller.unregister(client.monitor)
        client.renew(towards_tracker(self._ring))
        poller.register(client.socket, zmq.POLLIN)
        poller.register(client.monitor, zmq.POLLIN)

    def _note_tracker(self, client: TrackerClient, now: float) -> None:
        if client.address != self._spoke_to:
            self._spoke_to = client.address
            self._talk.moved(now)

    def _note_reached(self, trouble: TrackerError | NotAllowedError | None) -> None:
        if trouble is not None and self._is_reached is not False:
            may_be_starting = isinstance(trouble, TrackerError) and self._is_reached is None
            level = logging.INFO if may_be_starting else logging.WARNING
            log.log(level, "%s; will keep trying", trouble)
        elif trouble is None and self._is_reached is False:
            log.info("the tracker answers")
        self._is_reached = trouble is None
        self.refusal = trouble if isinstance(trouble, NotAllowedError) else None

    def _confirm(self, asked: int) -> None:
        if self._announcer.is_in_step:
            with self._progress:
                self._confirmed = asked
                self._progress.notify_all()

    def _milliseconds_left(self, client: TrackerClient) -> int:
        deadline = client.deadline if client.is_waiting else self._talk.deadline
        assert deadline is not None
        return max(0, int(1000 * (deadline - time.monotonic())) + 1)

    def _say_goodbye(self, client: TrackerClient) -> None:
        farewell = self._announcer.farewell()
        if farewell is None:
            return
        now = time.monotonic()
        until = now + FAREWELL_S
        client.send(farewell, now)
        try:  # The answer to an earlier message does not mean that this one has left.
            while now < until and client.receive(now) is None:
                client.socket.poll(max(1, int(1000 * (until - now))))
                now = time.monotonic()
        except (TrackerError, NotAllowedError):
            pass

"""The thread that keeps the tracker informed of what the node holds.

Decides neither what to say nor when (serving.announcer).
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

import zmq
from shoal.node.serving.announcer import Announcer
from shoal.protocol.errors import TrackerError
from shoal.protocol.messages import Holding, Told, Withdrawal
from shoal.wire.tracker_client import TrackerClient
from shoal.wire.wake import Wake

log = logging.getLogger("shoal.node")

FAREWELL_S = 1.0  # A tracker that does not answer must not hold up our end.


class Session:
    """One node's session with the tracker, from `start` to `stop`."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        tracker_address: str,
        announcer: Announcer,
        on_told: Callable[[Told], None],
    ) -> None:
        """`on_told` is called from the session's thread with the tracker's word on a holding."""
        self._context = context
        self._tracker_address = tracker_address
        self._announcer = announcer
        self._on_told = on_told
        self._news: queue.SimpleQueue[Holding | Withdrawal | None] = queue.SimpleQueue()
        self._is_listening = False  # For news; while an answer is awaited they can wait too.
        self._wake = Wake()
        self._is_stopping = False
        self._asked = 0  # How often `flush` was called …
        self._confirmed = 0  # … and which call the tracker's knowledge has caught up with.
        self._progress = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="session", daemon=True)
        self._is_reached: bool | None = None  # Not known yet.

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
            return self._progress.wait_for(lambda: self._confirmed >= wanted, timeout_s)

    def stop(self) -> None:
        """Say goodbye and end; takes no longer than FAREWELL_S."""
        self._is_stopping = True
        self._wake.set()
        if self._thread.ident is not None:  # It was started: the address could be bound.
            self._thread.join()
        self._wake.close()

    def _run(self) -> None:
        client = TrackerClient(self._context, self._tracker_address, tries=1)
        poller = zmq.Poller()
        poller.register(client.socket, zmq.POLLIN)
        poller.register(self._wake, zmq.POLLIN)
        try:
            while not self._is_stopping:
                self._hear(client)
                asked = (
                    self._asked
                )  # Before the news is taken, which then has all that was told earlier.
                now = time.monotonic()
                self._take_news(now)
                message = self._announcer.next_message(now)
                if message is not None:
                    client.send(message, now)
                self._confirm(asked)
                self._is_listening = not client.is_waiting
                if not self._is_listening or self._news.empty():
                    poller.poll(self._milliseconds_left(client))
                self._is_listening = False
                self._wake.clear()
            self._say_goodbye(client)
        finally:
            client.close()

    def _hear(self, client: TrackerClient) -> None:
        now = time.monotonic()
        try:
            reply = client.receive(now)
        except TrackerError as error:
            self._note_reached(str(error))
            self._announcer.unanswered(now)
            reply = None
        if reply is not None:
            before = self._announcer.trouble
            self._announcer.answered(reply, now)
            self._note_reached(None)
            if self._announcer.trouble not in {None, before}:
                log.warning("the tracker refused: %s", self._announcer.trouble)
        for told in self._announcer.taken_told():
            self._on_told(told)

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

    def _note_reached(self, trouble: str | None) -> None:
        if trouble is not None and self._is_reached is not False:
            level = logging.WARNING if self._is_reached else logging.INFO  # It may be starting.
            log.log(level, "%s; will keep trying", trouble)
        elif trouble is None and self._is_reached is False:
            log.info("the tracker answers")
        self._is_reached = trouble is None

    def _confirm(self, asked: int) -> None:
        if self._announcer.is_in_step:
            with self._progress:
                self._confirmed = asked
                self._progress.notify_all()

    def _milliseconds_left(self, client: TrackerClient) -> int:
        deadline = client.deadline if client.is_waiting else self._announcer.deadline
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
        except TrackerError:
            pass

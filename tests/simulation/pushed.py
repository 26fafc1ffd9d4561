"""A push in a swarm: nodes that do what is wished of them, their tracker, and who pushes.

What a node says and does is decided by the product's machines; here they are put together as in
`node/network/session.py`, `node/orders/obeying.py` and `commands/push.py`.
"""

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Mapping

import msgspec
from shoal.api.push import look_again_s
from shoal.broker.tracking.initial import Initial, InitialNode
from shoal.broker.tracking.tracker import Tracker
from shoal.node.fetching import steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.versions import Meant
from shoal.node.serving.announcer import Announcer
from shoal.node.serving.conversation import Conversation
from shoal.node.serving.wished import Free, Rate, Wished
from shoal.protocol import addresses, messages
from shoal.protocol.message import Message as Words
from shoal.protocol.messages import Error, Holders, Holding, Query, TrackerReply, TrackerRequest
from shoal.protocol.permits import Asker
from shoal.protocol.pushing import Doing, News, Push, Transfer, VerdictList, Verdicts, Wish

from tests.simulation.host import EPOCH, NODE, SETTINGS, Host, Shelf
from tests.simulation.station import (
    TRACKER,
    TRACKER_ADDRESS,
    AskedTracker,
    Message,
    Network,
    Station,
    Told,
)
from tests.simulation.world import World

DESK = "desk"
SESSION, ORDER, FETCH, PUSHER = "session", "order", "fetch", "pusher"  # Connections to the tracker.
FRAMING_BYTES = 90  # What ZMTP and TCP add to a message.
START_WITHIN_S = 10.0
PUSH_AT_S = 15.0  # Then all have started, and renew their leases out of step.
ROOM = Free(1 << 60, lambda _: 0)


@dataclasses.dataclass(frozen=True)
class Tally:
    """What a tracker did from the push on, until everybody was known to have it."""

    received: dict[str, int]  # Messages, by their kinds.
    received_bytes: int
    sent: int
    sent_bytes: int
    # Decoding, deciding and encoding; without sockets and disk.
    worked_s: float = dataclasses.field(compare=False)

    def per_node(self, nodes: int) -> tuple[float, float, float, float]:
        """Return messages in and out, and bytes in and out, by the number of nodes."""
        counts = sum(self.received.values()), self.sent, self.received_bytes, self.sent_bytes
        messages_in, messages_out, bytes_in, bytes_out = (count / nodes for count in counts)
        return messages_in, messages_out, bytes_in, bytes_out

    def lines(self, nodes: int) -> str:
        """Return it per node."""
        kinds = ", ".join(
            f"{count / nodes:.2f} {kind}" for kind, count in sorted(self.received.items())
        )
        messages_in, messages_out, bytes_in, bytes_out = self.per_node(nodes)
        return (
            f"the tracker, per node: {messages_in:.2f} messages in and {messages_out:.2f} out,"
            f" {bytes_in / 1000:.1f} kB in and {bytes_out / 1000:.1f} kB out,"
            f" {1000 * self.worked_s / nodes:.2f} ms of work ({kinds})"
        )


class PushTracker(Station):
    """The tracker of a swarm in which something is pushed."""

    def __init__(
        self,
        number: int,
        world: World,
        network: Network,
        rng: random.Random,
        nodes: Mapping[str, str],
    ) -> None:
        """`nodes` has the addresses of all nodes, by name."""
        super().__init__(number, TRACKER, world, network)
        listed = {node: InitialNode(address) for node, address in nodes.items()}
        self._hosts = {node: addresses.split(address)[0] for node, address in nodes.items()}
        initial = Initial(TRACKER_ADDRESS, listed, accepts_pushes=True)
        self._tracker = Tracker(initial, rng, 0.0)
        self._received: Counter[str] = Counter()
        self._sent = self._received_bytes = self._sent_bytes = 0
        self._worked_s = 0.0

    @property
    def tally(self) -> Tally:
        received = dict(self._received)
        return Tally(received, self._received_bytes, self._sent, self._sent_bytes, self._worked_s)

    def take(self, message: Message) -> None:
        assert isinstance(message, AskedTracker)
        data = messages.encode(message.request)
        began = time.thread_time()
        request: TrackerRequest = messages.decode(data, TrackerRequest)
        now = self.world.now
        self._tracker.expire(now)
        outcome = self._tracker.handle(request, now, Asker(self._hosts.get(message.asker, "")))
        reply = messages.encode(outcome.reply)
        news = messages.encode(News(self._tracker.revision)) if outcome.notified else b""
        if now >= PUSH_AT_S:
            self._worked_s += time.thread_time() - began
            self._received[type(request).__name__.lower()] += 1
            self._received_bytes += len(data) + FRAMING_BYTES
        self._tell(message.asker, reply, Told(outcome.reply, message.line))
        for node in outcome.notified:
            self._tell(node, news, Told(News(self._tracker.revision), SESSION))

    def _tell(self, name: str, data: bytes, told: Told) -> None:
        if self.world.now >= PUSH_AT_S:
            self._sent += 1
            self._sent_bytes += len(data) + FRAMING_BYTES
        self.send(name, len(data) + FRAMING_BYTES, told)


class PushedHost(Host):
    """A node that fetches what is wished of it, and tells the tracker how far it is."""

    def __init__(
        self,
        number: int,
        name: str,
        world: World,
        network: Network,
        shelf: Shelf,
        rng: random.Random,
    ) -> None:
        super().__init__(number, name, world, network, shelf)
        announcer = Announcer(name, self.address, EPOCH, rng, NODE)
        self._rng = rng
        self._talk = Conversation(announcer)
        self._talk.obey_as(name)
        self._is_waiting = False  # For the answer to what was said in the session.
        self._is_nudged = False
        self._talk_at = float("inf")
        self._wished = Wished()
        self._wish: Wish | None = None  # That is being fetched.
        self._rate = Rate()
        self.joined_at = PUSH_AT_S

    def start(self) -> None:
        """Announce what is here, and that this is all."""
        announcer, now = self._talk.announcer, self.world.now
        if self._is_whole:
            announcer.added(self._holding(complete=True), now)
        announcer.all_known(now)
        self._speak()

    @property
    def _is_whole(self) -> bool:
        return self.shelf.have.bit_count() == self.shelf.chunk_count

    def _holding(self, *, complete: bool) -> Holding:
        shelf = self.shelf
        return Holding(shelf.name, shelf.id, shelf.manifest.size_bytes, complete=complete)

    def announce(self, *, complete: bool) -> None:
        self._talk.announcer.added(self._holding(complete=complete), self.world.now)
        if complete:
            self._wish, self._is_nudged = None, True
        self._speak()

    def take(self, message: Message | steps.Event) -> None:
        match message:
            case Told(News(revision)):
                self._talk.heard(revision)
                self._speak()
            case Told(reply, line) if line == SESSION:
                self._is_waiting = False
                self._talk.answered(reply, self.world.now)
                self._talk.announcer.taken_told()
                self._obey()
                self._speak()
            case Told(reply, line) if line == ORDER:
                self._found(reply)
            case _:
                super().take(message)

    # The session.

    def _speak(self) -> None:
        """Say what is to be said now, and look again when there is more."""
        talk, now, is_busy = self._talk, self.world.now, self._wish is not None
        within_s = talk.tells_within_s(now, is_busy=is_busy, is_nudged=self._is_nudged)
        if within_s is not None:
            self._is_nudged = False
            talk.announcer.tell_doing(self._doing(), now, within_s=within_s)
        if self._is_waiting:
            return
        message = talk.next_message(now)
        if message is not None:
            self._is_waiting = True
            self._ask(message, SESSION)
            return
        deadline = talk.deadline
        assert deadline is not None
        if not now < self._talk_at <= deadline:
            self._talk_at = deadline
            self.at(deadline, self._ring_session, deadline)

    def _ring_session(self, deadline: float) -> None:
        if self._talk_at == deadline:
            self._talk_at = float("inf")
            self._speak()

    def _doing(self) -> Doing:
        doing = Doing("0.1.0", 1 << 40)
        if self._wish is None or self.download is None:
            return doing
        have_bytes = self.download.tally.fetched_bytes
        self._rate.grown(have_bytes, self.world.now)
        size_bytes, rate = self.shelf.manifest.size_bytes, self._rate.of(self.world.now)
        holders = len(self.download.roster.connected)
        sizes = have_bytes, size_bytes, rate, holders
        return msgspec.structs.replace(
            doing, fetching=(Transfer(self._wish.name, self._wish.id, *sizes),)
        )

    # The order.

    def _obey(self) -> None:
        wishes = self._talk.taken_wishes()
        if wishes is not None:
            self._wished.take(wishes)
        if self._wish is not None:
            return
        self._wish = self._wished.next(self.world.now, lambda _: self._is_whole, ROOM)
        if self._wish is not None:
            self._is_nudged = True
            what = f"{self._wish.name}@{self._wish.id.removeprefix('b3:')}"
            self._ask(Query(what, self.name, partial=True), ORDER)

    def _found(self, reply: TrackerReply) -> None:
        """Begin, once the tracker has said what is meant, as `node/fetching/versions.py` asks."""
        wish = self._wish
        assert wish is not None
        if isinstance(reply, Error):  # There is no file of that name with @ in it.
            prefix = wish.id.removeprefix("b3:")
            self._ask(Query(wish.name, self.name, partial=True, prefix=prefix), ORDER)
            return
        assert isinstance(reply, Holders)
        meant = Meant(wish.id, wish.name, wish.id, reply, is_exact=True)
        self.download = Download(meant, self.name, (TRACKER_ADDRESS,), self._rng, SETTINGS)
        self._feed(steps.TimePassed() if reply.listed else steps.HoldersFound(reply))

    def _tell_tracker(self, request: TrackerRequest) -> None:
        self._ask(request, FETCH)

    def _ask(self, request: Words, line: str) -> None:
        _ask(self, request, line)


class Pusher(Station):
    """Who pushes, and watches until all have it."""

    def __init__(self, number: int, world: World, network: Network) -> None:
        super().__init__(number, DESK, world, network)
        self._content: tuple[str, str] | None = None
        self._done = self._count = 0
        self.is_over = False
        self.is_alive = True

    def push(self) -> None:
        _ask(self, Query("thing"), PUSHER)

    def take(self, message: Message) -> None:
        assert isinstance(message, Told)
        match message.reply:
            case Holders(name, id=content_id, size_bytes=size_bytes):
                assert content_id is not None
                assert size_bytes is not None
                _ask(self, Push(name, content_id, size_bytes), PUSHER)
            case VerdictList(next=following) as page:
                self._done += sum(one.state == "done" for one in page.verdicts)
                self._count += len(page.verdicts)
                self._look_on(following)
            case reply:
                assert isinstance(reply, messages.Ok)
                self._look_on("")

    def _look_on(self, following: str | None) -> None:
        """Ask for the next page; after the last one look again, unless all have it."""
        if following is not None:
            _ask(self, Verdicts("thing", after=following), PUSHER)
            return
        self.is_over = self._done == self._count
        if not self.is_over:
            self.at(self.world.now + look_again_s(self._count), self._look_on, "")
        self._done = self._count = 0


def _ask(station: Station, request: Words, line: str) -> None:
    size_bytes = len(messages.encode(request)) + FRAMING_BYTES
    station.send(TRACKER, size_bytes, AskedTracker(station.name, request, line))  # type: ignore[arg-type]

"""What to tell the tracker, and when: everything at first, then changes, then "still alive".

Sends nothing itself. One message is out at a time. Each update says how the truth differs from what
the tracker has confirmed; the differences are kept as they come, so an update costs what changed
and not what there is. If the answer to an update is lost, what it said is in doubt and said again.
"""

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

import msgspec
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.message import Message
from shoal.protocol.messages import Error, Holding, Leave, Ok, Renew, Told, Update, Withdrawal
from shoal.protocol.pushing import Doing

if TYPE_CHECKING:
    from random import Random

Key = tuple[str, str]
T = TypeVar("T", Holding, Withdrawal)

CATCH_UP_S = 0.25  # Trackers hear of each other several times within this …
MOST_CATCH_UPS = 4  # … and one that knows no more after so many is told everything.
ITEM_BYTES = 256  # An item without its name, rounded up: a publisher has up to 64 characters.


class Announcer:
    """The tracker's picture of this node, and how far it is from the truth."""

    def __init__(
        self,
        node: str,
        address: str,
        epoch: int,
        rng: "Random",
        settings: NodeSettings | None = None,
        token: str = "",
    ) -> None:
        """Speak for `node` at `address`, a number; `epoch` counts its starts.

        `token` is what the tracker knows this node by, if it has been told one.
        """
        self.trouble: str | None = None
        self.doing: Doing | None = None  # Told with each renewal, …
        self.wants = 0  # … as is what this node could send, in bytes/s.
        self.token = token
        self._node = node
        self.address = address
        self._epoch = epoch
        self._rng = rng
        self._settings = settings or NodeSettings()
        self._wanted: dict[Key, Holding] = {}
        self._announced: dict[Key, Holding | None] = {}  # None: the tracker may or may not know.
        self._unsaid: dict[Key, None] = {}  # Wanted, and not announced just so. In order.
        self._stale: dict[Key, None] = {}  # Announced, and no longer wanted.
        self._told: list[Told] = []
        self._is_known = False  # The tracker has accepted an update of this epoch …
        self._is_all = False  # … all that the folder holds has been added here …
        self._has_said_all = False  # … and the tracker knows that there is nothing else.
        self._sequence = 0
        self._catch_ups = 0  # How often another tracker may still know less than the one before.
        self._out: Message | None = None
        self._next_at = 0.0
        self._pause_s = self._settings.tracker_patience_s

    @property
    def is_in_step(self) -> bool:
        """Say whether the tracker has confirmed all that there is to say."""
        return self._is_known and self._out is None and not self._has_news

    @property
    def is_registered(self) -> bool:
        """Say whether the tracker has accepted this node, and all that was there at its start."""
        return self._is_known and self._has_said_all and self.trouble is None

    @property
    def deadline(self) -> float | None:
        """When `next_message` has something to say; None while an answer is awaited."""
        return None if self._out is not None else self._next_at

    @property
    def _has_news(self) -> bool:
        is_different = bool(self._unsaid or self._stale)
        return is_different or (self._is_all and not self._has_said_all)

    def added(self, holding: Holding, now: float) -> None:
        """Note that this node holds this from now on, or holds it under another title."""
        key = holding.name, holding.id
        if self._wanted.get(key) != holding:
            self._wanted[key] = holding
            self._compare(key)
            self._hurry(now)

    def removed(self, key: Key, now: float) -> None:
        """Note that this node no longer holds this."""
        if self._wanted.pop(key, None) is not None:
            self._compare(key)
            self._hurry(now)

    def all_known(self, now: float) -> None:
        """Note that this node holds nothing but what has been added.

        Until then, what the tracker remembers of earlier starts remains: the folder has not been
        looked through yet.
        """
        if not self._is_all:
            self._is_all = True
            self._hurry(now)

    def tell_doing(self, doing: Doing, now: float, *, within_s: float) -> None:
        """Note what this node is doing, which the tracker is to hear within some time."""
        self.doing = doing
        if self._is_known and self.trouble is None:
            self._next_at = min(self._next_at, now + within_s)

    def tell_wants(self, wants: int, now: float, *, within_s: float) -> None:
        """Note what this node could send, which the tracker is to hear within some time."""
        if wants != self.wants:
            within_s = 0.0
        self.wants = wants
        if self._is_known and self.trouble is None:
            self._next_at = min(self._next_at, now + within_s)

    def moved(self, now: float) -> None:
        """Note that another tracker is asked from now on, which knows what the others know.

        It hears at once that we are here, for it has news for us from now on, and is not told
        again what another one has confirmed; perhaps that is on its way to it.
        """
        self._catch_ups = MOST_CATCH_UPS
        if self._is_known and self._out is None and self.trouble is None:
            self._next_at = min(self._next_at, now)

    def next_message(self, now: float) -> Message | None:
        """Return the message to send now, if any. It counts as sent."""
        if self._out is not None or now < self._next_at:
            return None
        self._out = self._compose()
        return self._out

    def answered(self, reply: Message, now: float) -> None:
        """Take in the tracker's answer to the message that is out."""
        said, self._out = self._out, None
        self._pause_s = self._settings.tracker_patience_s
        if isinstance(reply, Ok) and isinstance(said, Renew):
            self._hear_of_earlier(reply.told)
        match reply, said:
            case Ok(told=told, token=token), Update():
                self._accept(said, told)
                self.trouble = None
                self._next_at = now if token or self._has_news else self._renewal(now)
                self.token = token or self.token  # Shown at once: until then it guards nothing.
            case Ok(holdings=count), Renew() if self._agrees(count):
                self._catch_ups = 0
                self._next_at = now if self._has_news else self._renewal(now)
            case ((Ok() | Error(code=WireCode.NOT_FOUND)), Renew()) if self._catch_ups:
                self._catch_ups -= 1
                self._next_at = now + CATCH_UP_S
            case ((Ok() | Error(code=WireCode.NOT_FOUND)), Renew()):
                self._start_over()  # The tracker lost something: say it all again.
                self._next_at = now
            case Error(message=message), _:
                self.trouble = message
                self._start_over()
                self._next_at = self._renewal(now)
            case _:
                self._next_at = self._renewal(now)

    def unanswered(self, now: float) -> None:
        """Note that no answer came; the same is said again later, less and less often."""
        self._next_at = now + self._pause_s * self._rng.uniform(1.0, 1.5)
        self._pause_s = min(2 * self._pause_s, self._settings.renew_s)
        said, self._out = self._out, None
        if isinstance(said, Update):
            in_doubt: list[Holding | Withdrawal] = [*said.holdings, *said.withdrawn]
            for item in in_doubt:
                self._announced[item.name, item.id] = None
                self._compare((item.name, item.id))

    def farewell(self) -> Message | None:
        """Return the message to leave with, if the tracker knows us, or may by now."""
        may_be_known = self._is_known or isinstance(self._out, Update)
        return Leave(self._node, self._epoch, self.token) if may_be_known else None

    def _compose(self) -> Message:
        replaces = self._is_all and not self._has_said_all
        if replaces or not self._is_known:
            self._announced, self._stale = {}, {}
            self._unsaid = dict.fromkeys(self._wanted)
        added = _fitting(self._wanted[key] for key in self._unsaid)
        gone = _fitting(Withdrawal(*key) for key in self._stale)
        if self._is_known and not added and not gone and not replaces:
            count = len(self._announced)
            said = self._node, self._epoch, count, self._sequence, self.token
            return Renew(*said, self.doing, self.wants)
        self._sequence += 1
        return Update(
            self._node,
            self.address,
            self._epoch,
            self._sequence,
            tuple(added),
            tuple(gone),
            replace=replaces,
            token=self.token,
        )

    def _accept(self, said: Update, told: tuple[Told, ...]) -> None:
        self._is_known = True
        self._has_said_all |= said.replace
        for withdrawal in said.withdrawn:
            self._announced.pop((withdrawal.name, withdrawal.id), None)
            self._compare((withdrawal.name, withdrawal.id))
        answers = {(one.name, one.id): one for one in told}
        said_now = {(one.name, one.id) for one in said.holdings}
        self._hear_of_earlier(one for one in told if (one.name, one.id) not in said_now)
        for holding in said.holdings:
            key = holding.name, holding.id
            answer = answers.get(key) or Told(*key, holding.version, holding.publisher)
            if key in answers or holding.claims:
                self._told.append(answer)
            self._note_answer(holding, answer)
            self._compare(key)

    def _hear_of_earlier(self, told: Iterable[Told]) -> None:
        """Take in what has become of claims that the tracker had accepted.

        There may be several trackers, and another one may have accepted a rival before.
        """
        for answer in told:
            key = answer.name, answer.id
            said = self._announced.get(key)
            if said is not None:
                self._told.append(answer)
                self._note_answer(said, answer)
                self._compare(key)

    def _note_answer(self, said: Holding, answer: Told) -> None:
        """Take in the answer about one holding, unless the holding has changed meanwhile."""
        key = said.name, said.id
        is_still_so = self._wanted.get(key) == said
        if answer.taken:
            now_said = self._announced[key] = confirmed(said, answer)
            if is_still_so:
                self._wanted[key] = now_said
        else:
            self._announced.pop(key, None)
            if is_still_so:
                del self._wanted[key]

    def _compare(self, key: Key) -> None:
        """Note whether there is something to say of one holding."""
        self._unsaid.pop(key, None)
        self._stale.pop(key, None)
        wanted = self._wanted.get(key)
        if wanted is None and key in self._announced:
            self._stale[key] = None
        elif wanted is not None and self._announced.get(key) != wanted:
            self._unsaid[key] = None

    def _hurry(self, now: float) -> None:
        if self.trouble is None:
            self._next_at = min(now, self._next_at)

    def taken_told(self) -> list[Told]:
        """Return, once each, which versions holdings are by the tracker's word."""
        told, self._told = self._told, []
        return told

    def _start_over(self) -> None:
        self._is_known = self._has_said_all = False

    def _agrees(self, count: int) -> bool:
        return count == len(self._announced) or not self._has_said_all

    def _renewal(self, now: float) -> float:
        jitter = self._settings.renew_jitter
        return now + self._settings.renew_s * self._rng.uniform(1 - jitter, 1 + jitter)


def confirmed(holding: Holding, told: Told) -> Holding:
    """Return a holding as it is announced from now on."""
    return msgspec.structs.replace(
        holding, version=told.version, publisher=told.publisher, claims=False
    )


def _fitting(items: Iterable[T]) -> list[T]:
    """Return as many of the first items as fit into half a message."""
    fitting: list[T] = []
    room_bytes = messages.MAX_REQUEST_BYTES // 2 - 1024
    for item in itertools.islice(items, messages.MAX_UPDATE_HOLDINGS):
        room_bytes -= len(item.name.encode()) + ITEM_BYTES
        if room_bytes < 0:
            break
        fitting.append(item)
    return fitting

"""What to tell the tracker, and when: everything at first, then changes, then that we live.

Sends nothing itself. One message is out at a time. Each update says how the truth differs from what
the tracker has confirmed. What an update said whose answer was lost is in doubt, and said again.
"""

from typing import TYPE_CHECKING, TypeVar

import msgspec
from shoal.node.serving.settings import NodeSettings
from shoal.protocol import messages
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import (
    Error,
    Holding,
    Leave,
    Message,
    Ok,
    Renew,
    Told,
    Update,
    Withdrawal,
)

if TYPE_CHECKING:
    from random import Random

Key = tuple[str, str]
T = TypeVar("T", Holding, Withdrawal)

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
    ) -> None:
        """Speak for `node` at `address`; `epoch` counts its starts."""
        self.trouble: str | None = None
        self._node = node
        self._address = address
        self._epoch = epoch
        self._rng = rng
        self._settings = settings or NodeSettings()
        self._wanted: dict[Key, Holding] = {}
        self._told: list[Told] = []
        self._announced: dict[Key, Holding | None] = {}  # None: it may or may not know.
        self._is_known = False  # The tracker has accepted an update of this epoch …
        self._is_all = False  # … what there is to say is all that the folder holds …
        self._has_said_all = False  # … and the tracker knows that there is nothing else.
        self._sequence = 0
        self._out: Message | None = None
        self._next_at = 0.0
        self._pause_s = self._settings.tracker_patience_s

    @property
    def is_in_step(self) -> bool:
        """Say whether the tracker has confirmed all that there is to say."""
        return self._is_known and self._out is None and not self._has_news

    @property
    def deadline(self) -> float | None:
        """When `next_message` has something to say; None while an answer is awaited."""
        return None if self._out is not None else self._next_at

    @property
    def _has_news(self) -> bool:
        return self._wanted != self._announced or (self._is_all and not self._has_said_all)

    def hold(self, holdings: list[Holding], now: float, *, is_all: bool) -> None:
        """Note what this node holds from now on.

        With `is_all` it holds nothing else. Without, what the tracker remembers of earlier starts
        stands: the folder has not been looked through yet.
        """
        wanted = {(holding.name, holding.id): holding for holding in holdings}
        if (wanted, is_all) == (self._wanted, self._is_all):
            return
        self._wanted, self._is_all = wanted, is_all
        if self.trouble is None:
            self._next_at = min(now, self._next_at)

    def next_message(self, now: float) -> Message | None:
        """Return what to send now, if anything. It counts as sent."""
        if self._out is not None or now < self._next_at:
            return None
        self._out = self._compose()
        return self._out

    def answered(self, reply: Message, now: float) -> None:
        """Take in the tracker's answer to the message that is out."""
        said, self._out = self._out, None
        self._pause_s = self._settings.tracker_patience_s
        match reply, said:
            case Ok(told=told), Update():
                self._accept(said, told)
                self.trouble = None
                self._next_at = now if self._has_news else self._renewal(now)
            case Ok(holdings=count), Renew() if self._agrees(count):
                self._next_at = now if self._has_news else self._renewal(now)
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
            self._announced |= {(item.name, item.id): None for item in in_doubt}

    def farewell(self) -> Message | None:
        """Return the message to leave with, if the tracker knows us."""
        return Leave(self._node, self._epoch) if self._is_known else None

    def _compose(self) -> Message:
        replaces = self._is_all and not self._has_said_all
        if replaces or not self._is_known:
            self._announced = {}
        added = [
            holding for key, holding in self._wanted.items() if self._announced.get(key) != holding
        ]
        gone = [Withdrawal(*key) for key in self._announced if key not in self._wanted]
        if self._is_known and not added and not gone and not replaces:
            return Renew(self._node, self._epoch, len(self._announced))
        self._sequence += 1
        return Update(
            self._node,
            self._address,
            self._epoch,
            self._sequence,
            tuple(_fitting(added)),
            tuple(_fitting(gone)),
            replace=replaces,
        )

    def _accept(self, said: Update, told: tuple[Told, ...]) -> None:
        self._is_known = True
        self._has_said_all |= said.replace
        for withdrawal in said.withdrawn:
            self._announced.pop((withdrawal.name, withdrawal.id), None)
        answers = {(one.name, one.id): one for one in told}
        for holding in said.holdings:
            key = holding.name, holding.id
            answer = answers.get(key) or Told(*key, holding.version, holding.publisher)
            if key in answers or holding.claims:
                self._told.append(answer)
            if not answer.taken:
                self._announced.pop(key, None)
                self._wanted.pop(key, None)
                continue
            now_said = self._announced[key] = confirmed(holding, answer)
            if self._wanted.get(key) == holding:
                self._wanted[key] = now_said

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
    """Return what is announced of a holding from now on."""
    return msgspec.structs.replace(
        holding, version=told.version, publisher=told.publisher, claims=False
    )


def _fitting(items: list[T]) -> list[T]:
    """Return as many of the first items as fit into half a message."""
    fitting: list[T] = []
    room_bytes = messages.MAX_REQUEST_BYTES // 2 - 1024
    for item in items[: messages.MAX_UPDATE_HOLDINGS]:
        room_bytes -= len(item.name.encode()) + ITEM_BYTES
        if room_bytes < 0:
            break
        fitting.append(item)
    return fitting

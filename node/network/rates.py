"""What a node may send and receive at most, at this time of the day. Limits nothing itself."""

import math
import threading
import time
from collections.abc import Callable, Iterable

import msgspec
from shoal.node.serving import borrowing
from shoal.node.serving.background import SAMPLE_S, Background, Sample
from shoal.node.serving.borrowing import Borrowing
from shoal.protocol.bucket import Bucket
from shoal.protocol.rates import Timetable, lesser

LOOK_S = 1.0  # How often to look at the clock.
NO_LIMIT = Timetable()


class RateLimits(msgspec.Struct, frozen=True):
    """The limits that an operator has set, in bytes/s."""

    up: Timetable = NO_LIMIT
    down: Timetable = NO_LIMIT
    background: bool = False  # Send only what nobody else needs.
    part: int | None = None  # Of what all may send together, while the tracker lends it no other.


def minute_of_day() -> int:
    """Return the minute that a clock on the wall shows, 0 to 1439."""
    local = time.localtime()
    return 60 * local.tm_hour + local.tm_min


def _nothing() -> None:
    """Do nothing."""


class Rates:
    """The limits as of now. May be asked from any thread; `now` is monotonic, in seconds."""

    def __init__(
        self,
        limits: RateLimits = RateLimits(),  # noqa: B008 (frozen)
        clock: Callable[[], int] = minute_of_day,
    ) -> None:
        self._limits = limits
        self._borrowing = Borrowing(limits.part)
        self._background = Background() if limits.background else None
        self._sample_at = 0.0
        self.on_wants: Callable[[], None] = _nothing  # Called when the tracker is to hear `wants`.
        self._clock = clock
        self._minute = clock()
        self._look_at = 0.0
        self.down = SharedBucket(self._down)

    def set(self, limits: RateLimits) -> None:
        """Go by other limits from now on."""
        self._limits = limits
        is_news = self._borrowing.set_usual(limits.part)
        if not limits.background:
            self._background = None
        elif self._background is None:
            self._background = Background()
        if is_news:
            self.on_wants()  # The tracker says what it lends by now.

    def up(self, now: float) -> int | None:
        """Return what the node may send at most, in bytes/s; None: as much as it can."""
        own = self._limits.up.at(self._minute_at(now))
        return lesser(own, self._borrowing.limit(now))

    def pace(self) -> int | None:
        """Return what the kernel may send, in bytes/s; None: as much as it can."""
        background = self._background
        return None if background is None else background.rate

    def to_hosts(self) -> dict[str, int]:
        """Return what the node may send to single hosts, in bytes/s, by their addresses."""
        background = self._background
        return {} if background is None else background.rates_to()

    def wants_samples(self, now: float) -> bool:
        """Say whether to look at the connections now."""
        return self._background is not None and now >= self._sample_at

    def sampled(self, samples: Iterable[Sample], now: float) -> None:
        """Take in what the connections have shown since the last time."""
        background = self._background
        self._sample_at = now + SAMPLE_S
        if background is not None:
            background.sampled(samples, now)

    def sent(self, sent_bytes: int, now: float, *, is_busy: bool) -> None:
        """Note how much was sent since the start, and whether that goes on; call it often."""
        if self._borrowing.look(sent_bytes, self.up(now), now, is_busy=is_busy):
            self.on_wants()

    @property
    def patience_s(self) -> float:
        """How long to wait at most before calling `sent` again."""
        return borrowing.LOOK_S if self._borrowing.wants else math.inf

    @property
    def wants(self) -> int:
        """What the node could send, in bytes/s; 0: it sends nothing now."""
        return self._borrowing.wants

    def lent(self, rate: int | None, now: float) -> None:
        """Take in what the tracker lends, in bytes/s; None: it has no budget to lend of."""
        self._borrowing.lent(rate, now)

    def _down(self, now: float) -> int | None:
        return self._limits.down.at(self._minute_at(now))

    def _minute_at(self, now: float) -> int:
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._minute = self._clock()
        return self._minute


class SharedBucket:
    """One bucket for all fetches of a node, which run in threads of their own."""

    def __init__(self, rate_at: Callable[[float], int | None]) -> None:
        """`rate_at` returns what is allowed at a time, in bytes/s."""
        self._rate_at = rate_at
        self._bucket = Bucket()
        self._lock = threading.Lock()

    @property
    def rate(self) -> int | None:
        return self._bucket.rate

    def ready_at(self, now: float) -> float:
        with self._lock:
            rate = self._rate_at(now)
            if rate != self._bucket.rate:
                self._bucket.set_rate(rate, now)
            return self._bucket.ready_at(now)

    def take(self, size_bytes: int, now: float) -> None:
        with self._lock:
            self._bucket.take(size_bytes, now)

    def give_back(self, size_bytes: int) -> None:
        with self._lock:
            self._bucket.give_back(size_bytes)

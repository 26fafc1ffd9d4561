"""What the tracker wishes this node to hold, and what to fetch of it when. Fetches nothing."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
from shoal.protocol.errors import DiskError, Kind
from shoal.protocol.pushing import MAX_AT_A_TIME, MAX_REASON_CHARACTERS, Failure, Wish

FIRST_RETRY_S = 5.0  # After a failure, doubled each time …
MOST_RETRY_S = 300.0  # … up to this; where the disk was full, sooner if there is room again.
STUCK_S = 30.0  # With nothing new for so long, a fetch makes way for the next thing.
LOOK_S = 5.0  # How often to see whether what is wished is still there, and whether there is room.


class _Trouble(NamedTuple):
    reason: str
    pause_s: float
    due: float
    look_at: float
    is_disk: bool


class Free(NamedTuple):
    """How much room there is on the node's disk, in bytes, and how much of a wish is here."""

    room_bytes: int
    here: Callable[[Wish], int]


class Wished:
    """The wishes in their order. `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self._wishes: dict[str, Wish] = {}
        self._troubles: dict[Wish, _Trouble] = {}
        self._have_bytes = -1  # Of what is being fetched, …
        self._grew_at = 0.0  # … since when.

    def take(self, wishes: Iterable[Wish]) -> None:
        """Take in all wishes; earlier ones that are not among them are over."""
        self._wishes = {wish.name: wish for wish in wishes}
        current = set(self._wishes.values())
        self._troubles = {one: each for one, each in self._troubles.items() if one in current}

    def __len__(self) -> int:
        return len(self._wishes)

    @property
    def failing_count(self) -> int:
        """How many could not be fetched, and are tried again."""
        return len(self._troubles)

    def still_holds(self, wish: Wish) -> bool:
        """Say whether that is still wished, just so."""
        return self._wishes.get(wish.name) == wish

    def next(self, now: float, is_here: Callable[[Wish], bool], free: Free) -> Wish | None:
        """Return what to fetch now; None if all is here, or what is not has to wait."""
        for wish in self._wishes.values():
            if is_here(wish):
                self._troubles.pop(wish, None)
            elif self._is_due(wish, now, free):
                return wish
        return None

    def begun(self, now: float) -> None:
        """Note that the fetch of what `next` returned begins."""
        self._have_bytes, self._grew_at = -1, now

    def makes_way(
        self, have_bytes: int, now: float, is_here: Callable[[Wish], bool], free: Free, wish: Wish
    ) -> bool:
        """Say whether a fetch that has so much of its wish is to end, for another one.

        Nothing has come for long, as when nobody who is there has the rest, and something else is
        due, which may be had.
        """
        if have_bytes > self._have_bytes:
            self._have_bytes, self._grew_at = have_bytes, now
        if now < self._grew_at + STUCK_S:
            return False
        others = (one for one in self._wishes.values() if one != wish and not is_here(one))
        return any(self._is_due(one, now, free) for one in others)

    def pause_s(self, now: float) -> float:
        """Return in how many seconds to ask `next` again, if nothing happens before."""
        soonest = min((each.due for each in self._troubles.values()), default=now + LOOK_S)
        return max(0.0, min(LOOK_S, soonest - now))

    def failed(self, wish: Wish, reason: str, kind: Kind, now: float) -> None:
        """Note that something could not be fetched; it is tried again later, and less often."""
        if not self.still_holds(wish):
            return
        before = self._troubles.get(wish)
        pause_s = FIRST_RETRY_S if before is None else min(2 * before.pause_s, MOST_RETRY_S)
        is_disk = issubclass(kind, DiskError)
        self._troubles[wish] = _Trouble(reason, pause_s, now + pause_s, now + LOOK_S, is_disk)

    def failures(self, now: float) -> tuple[Failure, ...]:
        """Return what has failed last, and in how many seconds it is tried again."""
        return tuple(
            Failure(wish.name, wish.id, each.reason[:MAX_REASON_CHARACTERS], _left_s(each, now))
            for wish, each in list(self._troubles.items())[-MAX_AT_A_TIME:]
        )

    def _is_due(self, wish: Wish, now: float, free: Free) -> bool:
        trouble = self._troubles.get(wish)
        if trouble is None or now >= trouble.due:
            return True
        if not trouble.is_disk or now < trouble.look_at:
            return False
        return free.room_bytes > wish.size_bytes - free.here(wish)


def _left_s(trouble: _Trouble, now: float) -> int:
    return max(0, round(trouble.due - now))


class Listing:
    """Asks the tracker for the wishes, page by page, when they have changed."""

    def __init__(self) -> None:
        self._known = 0  # The revision of the wishes that were taken in; 0: none.
        self._told = 0
        self._revision = 0  # Of the pages.
        self._pages: list[Wish] = []
        self._after = ""
        self._taken: list[Wish] | None = None

    @property
    def is_due(self) -> bool:
        """Whether to ask for the next page."""
        return self._told != self._known

    @property
    def after(self) -> str:
        """After which name to ask."""
        return self._after

    def told(self, revision: int) -> None:
        """Take in the revision that the tracker has told; 0 means that there are no wishes."""
        self._told = revision
        if revision == 0 and self._known != 0:
            self._finish(0, [])

    def page(self, revision: int, wishes: Iterable[Wish], following: str | None) -> None:
        """Take in a page. If the wishes have changed since the first one, begin anew."""
        if self._after and revision != self._revision:
            self._told, self._after, self._pages = revision, "", []
            return
        self._told = self._revision = revision
        self._pages += wishes
        if following is None or following <= self._after:
            self._finish(revision, self._pages)
        else:
            self._after = following

    def refused(self) -> None:
        """Note that the tracker does not tell of wishes: an older one does not know the word."""
        self._finish(self._told, [])

    def taken(self) -> list[Wish] | None:
        """Return the wishes, once each time they have changed."""
        taken, self._taken = self._taken, None
        return taken

    def _finish(self, revision: int, wishes: list[Wish]) -> None:
        self._known, self._taken = revision, list(wishes)
        self._pages, self._after = [], ""


class Rate(msgspec.Struct):
    """How fast something grows, in units/s: over some seconds, as last told."""

    span_s: float = 3.0
    _at: float = 0.0
    _count: int = 0
    _rate: float = 0.0
    _is_begun: bool = False

    def grown(self, count: int, now: float) -> None:
        """Note how much there is now."""
        if not self._is_begun or count < self._count:
            self._at, self._count, self._rate, self._is_begun = now, count, 0.0, True
        elif now - self._at >= self.span_s / 3:
            latest = (count - self._count) / (now - self._at)
            share = min(1.0, (now - self._at) / self.span_s) if self._rate else 1.0
            self._rate += share * (latest - self._rate)
            self._at, self._count = now, count

    def of(self, now: float) -> int:
        """Return the rate; 0 if nothing has grown for long."""
        return round(self._rate) if now - self._at < 3 * self.span_s else 0

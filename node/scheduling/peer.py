"""One holder as a fetching node sees it: what it has, how quick it is, how much to ask of it.

Decides nothing about chunks; that is the scheduler's.
"""

import math

from shoal.node.scheduling.outstanding import Request
from shoal.node.scheduling.pace import LONG_BYTES, NO_PACE, Pace
from shoal.node.scheduling.settings import FetchSettings

WRITE_OFF_PATIENCES = 3
STRANGER = 2.0
FAR_ROUND_TRIPS = 1.5  # What a reply from afar takes longer, and half of that in the queue.
MAX_NOTHINGS = 3  # In a row: then it is left alone for a while, whatever it says it has.


class Peer:
    """A holder's window and its record.

    `told` is what it is said to have, late or not; `said_to_have` leaves out what is late just now.
    """

    __slots__ = (
        "_busy_s",
        "_give_up_s",
        "_have",
        "_heard_at",
        "_late",
        "_news_at",
        "_nothings",
        "_patient_until",
        "_pause_s",
        "_round_trip_s",
        "_settings",
        "_waiting_bytes",
        "_window_bytes",
        "asked_at",
        "blocked_until",
        "distance",
        "fresh_until",
        "is_useful",
        "is_whole",
        "latency_s",
        "node",
        "outstanding",
        "said_to_have",
        "told",
        "waiting",
        "wrong",
    )

    def __init__(
        self,
        node: str,
        have: int | None,
        now: float,
        settings: FetchSettings,
        give_up_s: float | None = None,
        distance: int = 0,
    ) -> None:
        """`have` is what it holds (protocol.bitmap), None if that is a part it has not named.

        `give_up_s` is for how long it may be silent, if that is not what the settings say.
        """
        self.node = node
        self.distance = distance  # From us, as protocol.distance has it …
        self.is_useful = False  # … and sets this.
        self.is_whole = have is not None
        self.outstanding: dict[int, Request] = {}
        self.waiting = 0  # How many of them are not written off, …
        self.asked_at = -math.inf
        self._waiting_bytes = 0  # … and how much they may bring.
        self._settings = settings
        self._give_up_s = give_up_s or settings.give_up_s
        self._have = have or 0  # By its own word, or the tracker's; not by what was heard of it.
        self.wrong = 0  # It sent wrong bytes of these, and is never asked for them.
        self.told = self.said_to_have = self._have
        self._late = 0  # What it was asked for and is overdue with.
        self._news_at = now  # When what it is said to have last changed.
        self.fresh_until = now
        self._window_bytes = 0  # One request at a time until the first reply.
        self.latency_s: float | None = None
        self._round_trip_s = 0.0  # The least seen since it was told; before that: near.
        self.blocked_until = now
        self._pause_s = settings.late_pause_s
        self._busy_s = settings.busy_pause_s
        self._nothings = 0
        self._heard_at = now
        self._patient_until = now

    def patience_s(self, pace: Pace = NO_PACE, size_bytes: int = 0) -> float:
        """How long to wait for the reply, of so many bytes, to a request that is sent now.

        Of one that has never replied nothing is known but the `pace` of the others: it may need
        twice as long as they might, or be a host without power, which nobody hears of. None of them
        is late before it could be with a full queue at the best pace so far.
        """
        settings, latency_s, most_s = self._settings, self.latency_s, self._settings.most_patience_s
        if latency_s is None:
            latency_s, most_s = STRANGER * pace.usual_s, settings.first_patience_s
        if not pace.is_known(size_bytes):  # Nothing has told how quick the links are.
            many = max(1.0, size_bytes / settings.first_patience_bytes)
            most_s = max(most_s, many * settings.first_patience_s)
            latency_s = math.inf if size_bytes >= LONG_BYTES else latency_s
        least_s = max(settings.least_patience_s, settings.queued_chunks * pace.least_s(size_bytes))
        return max(least_s, min(settings.patience_latencies * latency_s, most_s))

    def write_off_s(self, patience_s: float) -> float:
        """How long until a request that is sent now makes room for the next.

        A reply is hardly ever lost while the connection lasts, and over a very slow link a second
        request for a chunk would only double the work: so not before much is known.
        """
        if self.latency_s is None:
            return max(self._give_up_s, patience_s)
        latencies = WRITE_OFF_PATIENCES * self._settings.patience_latencies
        return max(WRITE_OFF_PATIENCES * patience_s, latencies * self.latency_s)

    @property
    def turn(self) -> tuple[int, float, str]:
        """What orders holders by whose turn it is; no two are equal."""
        return self.waiting, self.asked_at, self.node

    def may_be_asked(self, size_bytes: int, now: float) -> bool:
        """Say whether a request for a chunk of `size_bytes` fits into the window now."""
        if now < self.blocked_until:
            return False
        fits = self._waiting_bytes + size_bytes <= self._window_bytes
        return not self.waiting or (fits and self.waiting < self._settings.window_requests)

    def has_room(self, now: float) -> bool:
        """Say whether one that is asked already may be asked for more, if it is little enough."""
        if not self.waiting or now < self.blocked_until:
            return False
        is_below = self._waiting_bytes < self._window_bytes
        return is_below and self.waiting < self._settings.window_requests

    def believed_to_have(self, now: float) -> int:
        """Return what this holder may be asked for: nearly anything, once its word is old."""
        is_fresh = self.is_whole or self.waiting or now < self.fresh_until
        return self.said_to_have if is_fresh else ~self.wrong

    def wakes_at(self) -> float:
        """When it may be asked again although no reply has come."""
        if self.blocked_until < self.fresh_until and not self.is_whole and not self.waiting:
            return self.fresh_until
        return self.blocked_until

    def lost_at(self) -> float:
        """When it has been silent for too long: not before what it was asked for may be late."""
        if not self.outstanding:
            return math.inf
        return max(self._heard_at + self._give_up_s, self._patient_until)

    def is_sending(self, now: float) -> None:
        """Note that bytes come in, though no whole reply: it is not silent."""
        self._heard_at = now

    def met(self, round_trip_s: float) -> bool:
        """Note how far away it is; say whether more is to be asked of it at a time therefore."""
        self._round_trip_s = round_trip_s
        before = self._window_bytes
        self._window_bytes = max(before, self._far_window_bytes(0))
        return self._window_bytes > before

    def sent(self, request: Request) -> None:
        if not self.outstanding:
            self._heard_at = request.sent_at
        self.asked_at = request.sent_at
        self._patient_until = max(self._patient_until, request.due)
        self.outstanding[request.request_id] = request
        self.waiting += 1
        self._waiting_bytes += request.size_bytes

    def closed(self, request: Request, now: float) -> None:
        """Note that a request was answered, in whatever way."""
        del self.outstanding[request.request_id]
        self._heard_at = now
        self.write_off(request)

    def is_late_with(self, request: Request, now: float) -> None:
        """Note that a request is overdue: its chunks are to be had elsewhere, if anywhere."""
        self._late |= request.bits
        self._note_said()
        self.back_off(now)

    def write_off(self, request: Request) -> None:
        """Make room in the window: no reply is expected any more, though it is welcome."""
        if not request.is_written_off:
            request.is_written_off = True
            self.waiting -= 1
            self._waiting_bytes -= request.size_bytes
        if self._late:
            late = (one for one in self.outstanding.values() if one.is_overdue)
            self._late = 0
            for each in late:
                self._late |= 0 if each.is_written_off else each.bits
            self._note_said()

    def delivered(self, request: Request, size_bytes: int, now: float) -> None:
        """Learn from one chunk that came.

        While replies come back quickly the window grows by a chunk for each (doubling within a
        round trip, as TCP's slow start does); when they queue up on the link it shrinks by one. How
        far away it is counts for neither.
        """
        settings, latency_s = self._settings, now - request.sent_at
        self.blocked_until = now
        self._round_trip_s = min(self._round_trip_s, latency_s)
        far_s = FAR_ROUND_TRIPS * self._round_trip_s if self._is_far else 0.0
        before_s = latency_s if self.latency_s is None else self.latency_s
        self.latency_s = before_s + (latency_s - before_s) / 4
        self._pause_s = settings.late_pause_s
        self._busy_s = settings.busy_pause_s
        self._nothings = 0
        if latency_s <= settings.calm_latency_s + far_s:
            self._window_bytes = max(self._window_bytes, size_bytes) + size_bytes
        elif latency_s > settings.queued_latency_s + far_s:
            self._window_bytes -= size_bytes
        least_bytes = max(size_bytes, self._far_window_bytes(size_bytes))
        self._window_bytes = min(max(self._window_bytes, least_bytes), settings.window_bytes)

    @property
    def _is_far(self) -> bool:
        return self._round_trip_s >= self._settings.far_s

    def _far_window_bytes(self, size_bytes: int) -> int:
        """Return the least that is on its way from a far holder; two chunks hide a round trip."""
        return max(self._settings.far_window_bytes, 2 * size_bytes) if self._is_far else 0

    def sent_wrong(self, chunks: int) -> None:
        """Note that it sent wrong bytes of these: it does not have them, whatever it says."""
        self.wrong |= chunks
        self._have, self.told = self._have & ~chunks, self.told & ~chunks
        self._note_said()

    def learn(self, have: int, now: float, *, is_whole: bool) -> None:
        """Note what it says it has."""
        have, settings = have & ~self.wrong, self._settings
        if have != self.told:
            self._news_at = now
        self._have = self.told = have
        self._note_said()
        self.is_whole = is_whole
        quiet_s = (now - self._news_at) / settings.quiet_share
        self.fresh_until = now + max(settings.refresh_s, min(quiet_s, settings.most_refresh_s))

    def heard(self, have: int, now: float) -> bool:
        """Note what it is said to have, by whoever takes its name; say whether that is news.

        This only adds something: or a stranger could keep us from asking it.
        """
        told = self.told | have & ~self.wrong
        if told == self.told:
            return False
        self.told = told
        self._news_at = now
        self._note_said()
        return True

    def had_nothing(self, request: Request, have: int, now: float) -> None:
        """Note that it did not send the chunk, and says that it has `have`.

        It may have given others what it had said before. What it still says to have and does not
        send is a lie or a loss; and one that always says something else is as bad.
        """
        self._nothings += 1
        self._round_trip_s = min(self._round_trip_s, now - request.sent_at)
        if have & self._have & request.bits:
            self.back_off(now)
        elif self._nothings > MAX_NOTHINGS and self._have & request.bits:
            pause_s = self._settings.refresh_s * 2 ** min(self._nothings - MAX_NOTHINGS, 8)
            self.blocked_until = now + min(pause_s, self._settings.late_pause_s)

    def is_busy(self, now: float) -> None:
        """Leave it alone for a moment, longer each time: it serves others, or has too much to."""
        if now >= self.blocked_until:
            self.blocked_until = now + self._busy_s
            self._busy_s = min(2 * self._busy_s, self._settings.most_busy_pause_s)

    def back_off(self, now: float) -> None:
        """Leave it alone for a while, longer each time: it is late, or keeps what it has."""
        self.blocked_until = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._settings.most_patience_s)

    def _note_said(self) -> None:
        self.said_to_have = self.told & ~self._late

"""A holder as a fetch sees it: what it has, how quick it is, how much to ask.

Chooses no chunk; that is the scheduler's.
"""

import math

from shoal.node.scheduling.requests import Request

WINDOW_BYTES = 16 << 20  # One holder: hides 16 ms at 1 GB/s; 50 of them are never full.
WINDOW_REQUESTS = 16  # A holder queues 64 replies; REP loses some above half of that.
CALM_LATENCY_S = 0.15  # A window grows while replies come back sooner than this …
QUEUED_LATENCY_S = 0.6  # … and shrinks when they take longer: the link is full anyway.
FAR_S = 0.02  # From this round trip on a holder is far: the way does not count as latency, …
FAR_WINDOW_BYTES = 512 << 10  # … and its window is at least this: 20 Mbit/s at 200 ms.
FAR_ROUND_TRIPS = 1.5  # What a reply from afar takes longer, including half of that in the queue.

FIRST_PATIENCE_S = 5.0  # Before anything is known of a holder, …
FIRST_PATIENCE_BYTES = 160 << 10  # … for chunks of up to this size; longer for longer ones.
LEAST_PATIENCE_S = 1.0  # Below this a busy machine looks dead.
MOST_PATIENCE_S = 30.0
PATIENCE_LATENCIES = 4.0  # A request is overdue after four times the usual latency, …
QUEUED_CHUNKS = 16  # … but not before so many chunks could arrive at the best pace so far.
STRANGER = 2.0  # A holder that has not replied yet may need so many times as long as others.
STRANGERS = 4  # So many that have never answered are asked at a time if there are others, …
STRANGER_PATIENCE_S = 1.5  # … and what they were asked for may be asked of others after this.
WRITE_OFF_PATIENCES = 3
GIVE_UP_S = 60.0  # A holder that is silent for so long is lost.

REFRESH_S = 0.02  # A partial holder that had nothing is asked again after this, …
QUIET_SHARE = 8.0  # … or after an eighth of the time for which it has had no news, …
MOST_REFRESH_S = 2.0  # … up to this.
BUSY_PAUSE_S = 0.02  # After BUSY, when it was others' turn; doubled each time …
MOST_BUSY_PAUSE_S = 1.0  # … up to this.
LATE_PAUSE_S = 0.5  # After an overdue reply; doubled up to MOST_PATIENCE_S.
MAX_NOTHINGS = 3  # In a row; then a holder is left alone for a while, whatever it says.

LONG_BYTES = 64 << 10  # Shorter replies take a round trip, and tell nothing about a link's rate.


class Pace:
    """How quickly replies come, from all holders together.

    `usual_s` is what replies with a chunk have taken recently; infinite before the first.
    """

    __slots__ = ("_least_s_per_byte", "usual_s")

    def __init__(self) -> None:
        self.usual_s = math.inf
        self._least_s_per_byte: float | None = None

    def delivered(self, size_bytes: int, took_s: float) -> bool:
        """Take in one reply; return whether it is the first, or the first long one."""
        is_first = self.usual_s == math.inf
        self.usual_s = took_s if is_first else self.usual_s + (took_s - self.usual_s) / 16
        if size_bytes < LONG_BYTES:
            return is_first
        before, s_per_byte = self._least_s_per_byte, took_s / size_bytes
        self._least_s_per_byte = s_per_byte if before is None else min(before, s_per_byte)
        return before is None

    def is_known(self, size_bytes: int) -> bool:
        """Return whether a reply has shown how long one of that size may take."""
        if size_bytes < LONG_BYTES:
            return self.usual_s < math.inf
        return self._least_s_per_byte is not None

    def least_s(self, size_bytes: int) -> float:
        """Return what so many bytes take at the best pace so far; 0 while that is unknown."""
        return (self._least_s_per_byte or 0.0) * size_bytes


NO_PACE = Pace()


class Peer:
    """One holder: its window and its record.

    `told` is what it says it has; `said_to_have` leaves out what it is late with just now.
    """

    def __init__(
        self,
        node: str,
        have: int | None,
        now: float,
        give_up_s: float | None = None,
        distance: int = 0,
    ) -> None:
        """`have` is what it holds (protocol.bitmap); None if that is a part it has not named.

        `give_up_s` is for how long it may be silent, if not GIVE_UP_S.
        """
        self.node = node
        self.distance = distance  # From us (protocol.distance).
        self.is_useful = False  # Kept by the neighbours, …
        self.is_met = False  # … as is whether its connection is up.
        self.is_stranger = False  # Our cluster file does not have it, and it has not answered yet.
        self.is_whole = have is not None
        self.outstanding: dict[int, Request] = {}
        self.waiting = 0  # How many of them are not written off, …
        self.asked_at = -math.inf
        self._waiting_bytes = 0  # … and how many bytes they ask for.
        self._give_up_s = give_up_s or GIVE_UP_S
        self.wrong = 0  # It sent wrong bytes of these, and is never asked for them.
        self.told = self.said_to_have = have or 0
        self._late = 0  # What it was asked for and is overdue with.
        self._news_at = now  # When what it has last changed.
        self.fresh_until = now
        self._window_bytes = 0  # One request at a time until the first reply.
        self.latency_s: float | None = None
        self._round_trip_s = 0.0  # The shortest since it was told; before that: near.
        self.blocked_until = now
        self._pause_s = LATE_PAUSE_S
        self._busy_s = BUSY_PAUSE_S
        self._nothings = 0
        self.heard_at = now  # When something last came from it.
        self._patient_until = now

    def patience_s(self, pace: Pace = NO_PACE, size_bytes: int = 0) -> float:
        """Return how long to wait for the reply, of so many bytes, to a request sent now.

        If the holder has never replied, only the `pace` of the others is known: it may need twice
        as long as they do, or it may have lost power. No reply is late before it could have arrived
        through a full queue at the best pace so far.
        """
        latency_s, most_s = self.latency_s, MOST_PATIENCE_S
        if latency_s is None:
            latency_s, most_s = STRANGER * pace.usual_s, FIRST_PATIENCE_S
        if not pace.is_known(size_bytes):
            most_s = max(most_s, FIRST_PATIENCE_S * max(1.0, size_bytes / FIRST_PATIENCE_BYTES))
            latency_s = math.inf if size_bytes >= LONG_BYTES else latency_s
        most_s = min(most_s, STRANGER_PATIENCE_S) if self.is_stranger else most_s
        least_s = max(LEAST_PATIENCE_S, QUEUED_CHUNKS * pace.least_s(size_bytes))
        return max(least_s, min(PATIENCE_LATENCIES * latency_s, most_s))

    def write_off_s(self, patience_s: float) -> float:
        """Return how long until a request sent now makes room for the next.

        Replies are hardly ever lost while a connection lasts, and over a very slow link a second
        request for a chunk would only double the work.
        """
        if self.latency_s is None:
            return max(self._give_up_s, patience_s)
        return WRITE_OFF_PATIENCES * max(patience_s, PATIENCE_LATENCIES * self.latency_s)

    @property
    def turn(self) -> tuple[int, float, str]:
        """The order in which holders are asked for more; no two are equal."""
        return self.waiting, self.asked_at, self.node

    def may_be_asked(self, size_bytes: int, now: float) -> bool:
        """Return whether a request for a chunk of `size_bytes` fits into the window now."""
        if now < self.blocked_until:
            return False
        fits = self._waiting_bytes + size_bytes <= self._window_bytes
        return not self.waiting or (fits and self.waiting < WINDOW_REQUESTS)

    @property
    def is_expected(self) -> bool:
        """Whether a reply of its is awaited that is not overdue."""
        return any(not request.is_overdue for request in self.outstanding.values())

    def has_room(self, now: float) -> bool:
        """Return whether one with requests out may get another one, for a small enough chunk."""
        if not self.waiting or now < self.blocked_until:
            return False
        is_below = self._waiting_bytes < self._window_bytes
        return is_below and self.waiting < WINDOW_REQUESTS

    def believed_to_have(self, now: float) -> int:
        """Return what it may be asked for: almost anything once its word is old."""
        is_fresh = self.is_whole or self.waiting or now < self.fresh_until
        return self.said_to_have if is_fresh else ~self.wrong

    def wakes_at(self) -> float:
        """When it may be asked again even if no reply comes."""
        if self.blocked_until < self.fresh_until and not self.is_whole and not self.waiting:
            return self.fresh_until
        return self.blocked_until

    def lost_at(self) -> float:
        """When it counts as lost: not before everything it was asked for is overdue."""
        if not self.outstanding:
            return math.inf
        return max(self.heard_at + self._give_up_s, self._patient_until)

    def is_sending(self, now: float) -> None:
        """Note that bytes of a reply come in: it is not silent."""
        self.heard_at = now

    def met(self, round_trip_s: float) -> bool:
        """Note how far away it is; return whether its window has grown because of that."""
        self._round_trip_s = round_trip_s
        before = self._window_bytes
        self._window_bytes = max(before, self._far_window_bytes(0))
        return self._window_bytes > before

    def sent(self, request: Request) -> None:
        if not self.outstanding:
            self.heard_at = request.sent_at
        self.asked_at = request.sent_at
        self._patient_until = max(self._patient_until, request.due)
        self.outstanding[request.request_id] = request
        self.waiting += 1
        self._waiting_bytes += request.size_bytes

    def closed(self, request: Request, now: float) -> None:
        """Note that a request was answered, or given up."""
        del self.outstanding[request.request_id]
        self.heard_at = now
        self.write_off(request)

    def is_late_with(self, request: Request, now: float) -> None:
        """Note that a request is overdue: its chunk is better requested from others."""
        self._late |= request.bits
        self._note_said()
        self.back_off(now)

    def write_off(self, request: Request) -> None:
        """Make room in the window: no reply is expected any more, though it would count."""
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
        """Learn from one chunk that arrived.

        While replies come back quickly the window grows by a chunk for each (doubling within a
        round trip, as TCP's slow start does); when they queue on the link it shrinks by one. The
        distance counts for neither.
        """
        latency_s = now - request.sent_at
        self.blocked_until = now
        self._round_trip_s = min(self._round_trip_s, latency_s)
        far_s = FAR_ROUND_TRIPS * self._round_trip_s if self._is_far else 0.0
        before_s = latency_s if self.latency_s is None else self.latency_s
        self.latency_s = before_s + (latency_s - before_s) / 4
        self._pause_s = LATE_PAUSE_S
        self._busy_s = BUSY_PAUSE_S
        self._nothings = 0
        if latency_s <= CALM_LATENCY_S + far_s:
            self._window_bytes = max(self._window_bytes, size_bytes) + size_bytes
        elif latency_s > QUEUED_LATENCY_S + far_s:
            self._window_bytes -= size_bytes
        least_bytes = max(size_bytes, self._far_window_bytes(size_bytes))
        self._window_bytes = min(max(self._window_bytes, least_bytes), WINDOW_BYTES)

    @property
    def _is_far(self) -> bool:
        return self._round_trip_s >= FAR_S

    def _far_window_bytes(self, size_bytes: int) -> int:
        """Return the least window of a far holder; two chunks hide a round trip."""
        return max(FAR_WINDOW_BYTES, 2 * size_bytes) if self._is_far else 0

    def sent_wrong(self, chunks: int) -> None:
        """Note that it sent wrong bytes of these: it does not have them, whatever it says."""
        self.wrong |= chunks
        self.told &= ~chunks
        self._note_said()

    def learn(self, have: int, now: float, *, is_whole: bool) -> None:
        """Note what it says it has."""
        have &= ~self.wrong
        if have != self.told:
            self._news_at = now
        self.told = have
        self._note_said()
        self.is_whole = is_whole
        quiet_s = (now - self._news_at) / QUIET_SHARE
        self.fresh_until = now + max(REFRESH_S, min(quiet_s, MOST_REFRESH_S))

    def had_nothing(self, request: Request, have: int, now: float) -> None:
        """Note that it did not send the chunk, and says that it has `have`.

        It may have given the chunk to others since it last said what it has. If it still says that
        it has it, that is a lie or a loss; and a holder that changes its word each time is as bad.
        """
        self._nothings += 1
        self._round_trip_s = min(self._round_trip_s, now - request.sent_at)
        if have & self.told & request.bits:
            self.back_off(now)
        elif self._nothings > MAX_NOTHINGS and self.told & request.bits:
            pause_s = REFRESH_S * 2 ** min(self._nothings - MAX_NOTHINGS, 8)
            self.blocked_until = now + min(pause_s, LATE_PAUSE_S)

    def is_busy(self, now: float) -> None:
        """Leave it alone for a moment, longer each time: it serves others first."""
        if now >= self.blocked_until:
            self.blocked_until = now + self._busy_s
            self._busy_s = min(2 * self._busy_s, MOST_BUSY_PAUSE_S)

    def back_off(self, now: float) -> None:
        """Leave it alone for a while, longer each time: it is late, or its word is wrong."""
        self.blocked_until = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, MOST_PATIENCE_S)

    def _note_said(self) -> None:
        self.said_to_have = self.told & ~self._late

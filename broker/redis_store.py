"""The log that several trackers share, in Redis or Valkey. Answers nothing: see Saver and Tracker.

An exchange is one round trip: a transaction reads what the others have appended, and appends ours.
"""

import logging
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from shoal.broker import redis_log
from shoal.broker.compaction import Compaction
from shoal.broker.redis_link import Command, Link
from shoal.broker.redis_log import START, Entry, Keys, Piece, Place, Reading
from shoal.broker.stores import Exchanged, LostError, NotLoadedError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed
from shoal.protocol.errors import UnavailableError

_log = logging.getLogger("shoal.tracker")

MAX_CHANGES = 10_000  # In one exchange: 2 MB. After an outage, the rest comes with the next ones.
ID_BYTES = 8


class RedisStore:
    """One tracker's access to the log."""

    is_shared = True

    def __init__(self, url: str, password: str | None = None) -> None:
        """Connect to nothing yet.

        Raises:
            OperatorError: redis-py is not installed, or cannot use this URL.
        """
        self._link = Link(url, password)
        self._keys = Keys(self._link.address.prefix)
        self._tracker = secrets.token_hex(ID_BYTES)  # Another one after each start.
        self._is_running = False  # It has tried to load.
        self._number = 0  # Of our last batch.
        self._place = Place()
        self._heard = START
        self._sent: Sequence[Change] = ()  # They may have been saved, but we were not told.
        self._is_loaded = False
        self._lost = ""
        self._outdated = ""  # Why we cannot read on.
        self._trouble = ""
        self._compaction = Compaction(self._link, self._keys, url, password)

    def load(self) -> Sequence[Change]:
        """Return the log; from now on, exchanges go on where it ends.

        Raises:
            NotSavedError: it cannot be read now.
            UnavailableError: a later release of shoal has written it, and this is the first time.
        """
        is_first, self._is_running = not self._is_running, True
        try:
            reading = self._read()
        except NotSavedError as error:
            self._trouble = str(error)
            raise
        except UnavailableError as error:
            self._trouble = str(error)
            if is_first:
                raise
            raise NotSavedError(self._trouble) from error
        self._place, self._heard = reading.place, reading.heard
        self._number += len(_pieces(self._sent))  # They may be in this log, or get there yet.
        self._sent, self._lost, self._outdated, self._trouble = (), "", "", ""
        self._is_loaded = True
        self._compaction.begin_at(reading)
        return reading.log

    def exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed] = ()) -> Exchanged:
        """Append changes, tell who renewed, and return what others did before.

        Raises:
            NotSavedError: give the same changes again, before any later ones.
            NotLoadedError: `load` comes first.
            LostError: the log is another one than before; `load` it again.
        """
        if not self._is_loaded:
            raise NotLoadedError
        if self._lost:
            raise LostError(self._lost)
        if self._outdated:
            raise NotSavedError(self._outdated)
        try:
            exchanged = self._exchange(changes, renewed)
        except LostError as error:
            self._lost = self._trouble = str(error)
            raise
        except NotSavedError as error:
            self._trouble = str(error)
            raise
        except UnavailableError as error:
            self._outdated = self._trouble = str(error)
            raise NotSavedError(self._outdated) from error
        self._trouble = ""
        self._compaction.consider()
        return exchanged

    def trouble(self) -> str:
        """Return why the last exchange failed; empty if it did not. For any thread."""
        return self._trouble

    def close(self) -> None:
        self._compaction.close()
        self._link.close()

    def _exchange(self, changes: Sequence[Change], renewed: Sequence[Renewed]) -> Exchanged:
        if not self._link.is_open:
            self._open()
        if self._sent and tuple(changes[: len(self._sent)]) != tuple(self._sent):
            raise LostError("changes that may have been saved were given up")
        ours = self._sent = self._sent or tuple(changes[:MAX_CHANGES])
        pieces = self._numbered(ours)
        commands: list[Command] = [
            redis_log.page(self._keys, self._place),
            ("TIME",),
            ("XRANGE", self._keys.liveness, f"({self._heard}", "+"),
            *(redis_log.addition(self._keys, piece) for piece in pieces),
        ]
        if renewed:
            commands.append(redis_log.announcement(self._keys, self._tracker, renewed))
        replies = self._link.transaction(commands)
        return self._taken(replies, pieces, len(changes))

    def _open(self) -> None:
        """Connect, and see before anything is sent that the log is the one that was read."""
        self._link.open()
        begin = self._place.last
        if begin != START:
            raw = self._link.call("XRANGE", self._keys.log, begin, begin)
            for _ in redis_log.entries_in(raw, self._place):
                pass

    def _numbered(self, changes: Sequence[Change]) -> list[Piece]:
        """Return changes in pieces; they keep their numbers if they have to be sent again."""
        return [
            redis_log.piece(self._tracker, self._number + nth, piece)
            for nth, piece in enumerate(_pieces(changes), start=1)
        ]

    def _taken(self, replies: Any, pieces: Sequence[Piece], given: int) -> Exchanged:
        """Go on in the log to the last of our pieces, or to the end if there are none."""
        raw, raw_time, raw_heard, *ids = replies
        now_ms = redis_log.now_ms(raw_time)
        place = Place(self._place.last, self._place.mark, dict(self._place.numbers))
        others: list[Change] = []
        has_more = not pieces and len(raw) >= redis_log.PAGE_ENTRIES
        last = self._number + len(pieces)
        for entry in self._entries(raw, place, ids[0].decode() if pieces else ""):
            is_ours = entry.tracker == self._tracker and self._number < entry.number <= last
            if place.takes(entry) and not is_ours:
                since_ms = redis_log.milliseconds(entry.id)
                others += redis_log.as_of(entry.changes, since_ms, now_ms)
            self._compaction.add(len(entry.changes), entry.size_bytes)
            if is_ours and entry.number == last:
                has_more = True  # They had been saved the first time; what follows comes after.
                break
        else:
            for entry_id, piece in zip(ids, pieces, strict=False):
                place.takes(Entry(entry_id.decode(), *piece.mark, (), 0))
                self._compaction.add(len(piece.changes), len(piece.body))
        ours, self._sent = self._sent, ()
        self._place, self._number = place, last
        heard = redis_log.renewed_in(raw_heard, self._tracker)
        self._heard = redis_log.last_id(raw_heard, self._heard)
        return Exchanged(tuple(others), tuple(heard), given - len(ours), has_more)

    def _entries(self, raw: Any, place: Place, first: str) -> Iterator[Entry]:
        """Yield what a page has, and if ours are to follow, all that comes before them.

        `first` is the id of our first entry; empty if there is none.
        """
        while True:
            for entry in redis_log.entries_in(raw, place):
                if entry.id == first:
                    return
                yield entry
            if not first or len(raw) < redis_log.PAGE_ENTRIES:
                return
            raw = self._link.call(*redis_log.page(self._keys, place))

    def _read(self) -> Reading:
        """Read the log. If a part of it is missing, begin another one, which others notice."""
        keys = self._keys
        try:
            return redis_log.read(self._link, keys)
        except LostError as error:
            _log.warning("%s: starting another log; nodes announce themselves again", error)
            self._link.call("UNLINK", keys.log, keys.snapshot, keys.liveness)
        try:
            return redis_log.read(self._link, keys)
        except LostError as error:
            raise NotSavedError(str(error)) from error


def probe(url: str, password: str | None) -> None:
    """Make sure that a store answers, and takes changes.

    Raises:
        NotSavedError: it does not.
        OperatorError: redis-py is not installed, or cannot use this URL.
    """
    link = Link(url, password)
    keys = Keys(link.address.prefix)
    try:
        link.transaction([("XLEN", keys.log), ("SET", keys.probed, 1, "PX", 1)])
    finally:
        link.close()


def _pieces(changes: Sequence[Change]) -> list[Sequence[Change]]:
    step = redis_log.PIECE_CHANGES
    return [changes[begin : begin + step] for begin in range(0, len(changes), step)]

"""The trackers' log in a Redis stream, and the snapshot that bounds it: how both are written down.

Decides nothing about changes. docs/build/store.md has all keys and fields.
"""

import logging
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from shoal.broker.redis_link import Command, Link
from shoal.broker.stores import LostError, NotSavedError
from shoal.broker.tracking.changes import Change, Renewed, aged
from shoal.protocol.errors import UnavailableError

_log = logging.getLogger("shoal.tracker")

FORMAT = 1  # Of entries and snapshots. One more whenever an older shoal would read them wrongly.
PIECE_CHANGES = 64  # In an entry. The last entry read is read again with each exchange: 10 KB.
PAGE_ENTRIES = 500
PAGE_CHUNKS = 16
CHUNK_CHANGES = 5000  # Of a snapshot; compressed, some 100 KB.
MAX_CHUNK_BYTES = 64 << 20  # Of these changes, however long their names are.
MAX_LIVENESS = 300  # Entries; each tracker makes one a second, and a lease is 30 s.
RENEWAL_MS = 10_000  # Who is alive has renewed its lease in this time.
READ_TRIES = 5  # While others write snapshots faster than we read them.
START = "0-0"  # Before the first entry.

_changes_in = msgspec.msgpack.Decoder(list[Change])  # Fields that it does not know are ignored.
_renewed_in = msgspec.msgpack.Decoder(list[Renewed])
_encode = msgspec.msgpack.Encoder().encode
_DAMAGED = ValueError, RecursionError, msgspec.MsgspecError  # Invalid UTF-8 is a ValueError.


class Keys:
    """The names of all keys."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.log = f"{prefix}:log"
        self.liveness = f"{prefix}:liveness"
        self.snapshot = f"{prefix}:snapshot"
        self.compacting = f"{prefix}:compacting"
        self.probed = f"{prefix}:probed"

    def chunks(self, name: str) -> str:
        return f"{self.snapshot}:{name}"


class Snapshot(msgspec.Struct, frozen=True):
    """The log up to an entry, in fewer changes. They are in a list of chunks of its own."""

    format: int
    name: str
    up_to: str  # The id of the last entry that is in it; that entry stays in the stream.
    made_ms: int  # On the server's clock; the ages in it count from there.
    chunks: int
    numbers: dict[str, int]  # By tracker: its last batch.


class Piece(NamedTuple):
    """A batch of changes, or a part of one, that is to become an entry."""

    mark: tuple[str, int]  # The tracker, and the number.
    changes: Sequence[Change]
    body: bytes


class Entry(NamedTuple):
    """One entry of the stream: a batch of changes, or a piece of one."""

    id: str
    tracker: str
    number: int
    changes: Sequence[Change]
    size_bytes: int


@dataclass
class Place:
    """How far the log has been read."""

    last: str = START
    mark: tuple[str, int] = ("", 0)  # Of the last entry: who appended it, and its number.
    numbers: dict[str, int] = field(default_factory=dict)  # By tracker: its last batch.

    def takes(self, entry: Entry) -> bool:
        """Go on to an entry; say whether it counts. A batch that was sent twice counts once."""
        self.last, self.mark = entry.id, (entry.tracker, entry.number)
        if entry.number <= self.numbers.get(entry.tracker, 0):
            return False
        self.numbers.pop(entry.tracker, None)
        self.numbers[entry.tracker] = entry.number  # Those heard of last come last.
        return True


@dataclass
class Growth:
    """How much the log has grown since the snapshot."""

    entry_count: int = 0
    change_count: int = 0
    size_bytes: int = 0

    def add(self, change_count: int, size_bytes: int) -> None:
        """Note one entry more."""
        self.entry_count += 1
        self.change_count += change_count
        self.size_bytes += size_bytes


@dataclass
class Reading:
    """The whole log as it was read, and where its reader stands then."""

    log: list[Change]
    place: Place
    heard: str  # From where on liveness is read.
    now_ms: int
    base: Snapshot | None
    growth: Growth = field(default_factory=Growth)


class _ChangedError(Exception):
    """What was being read was replaced meanwhile by a newer snapshot."""


def piece(tracker: str, number: int, changes: Sequence[Change]) -> Piece:
    """Return changes as they are to be appended."""
    return Piece((tracker, number), changes, _encode(changes))


def addition(keys: Keys, piece: Piece) -> Command:
    """Return the command that appends a piece."""
    tracker, number = piece.mark
    fields = ("f", FORMAT, "t", tracker, "n", number, "c", piece.body)
    return ("XADD", keys.log, "*", *fields)


def announcement(keys: Keys, tracker: str, renewed: Sequence[Renewed]) -> Command:
    """Return the command that tells others who has renewed."""
    fields = ("f", FORMAT, "t", tracker, "r", _encode(renewed))
    return ("XADD", keys.liveness, "MAXLEN", "~", MAX_LIVENESS, "*", *fields)


def page(keys: Keys, place: Place) -> Command:
    """Return the command that reads on, from the last entry, which shows whether it is there."""
    begin = "-" if place.last == START else place.last
    return ("XRANGE", keys.log, begin, "+", "COUNT", PAGE_ENTRIES)


def entries_in(raw: Any, place: Place) -> Iterator[Entry]:
    """Yield the entries that follow a place in a page that was read from it.

    Raises:
        LostError: the last entry is not there any more.
        UnavailableError: an entry is in the format of a later release.
    """
    if place.last != START:
        if not raw or (_id(raw[0]), *_mark_of(_fields(raw[0]))) != (place.last, *place.mark):
            raise LostError("the log in the store is not the one that was there before")
        raw = raw[1:]
    for each in raw:
        entry = _entry(each)
        if not entry.size_bytes:
            _log.warning("the store's log has an entry that no tracker has made: %s", entry.id)
        yield entry


def renewed_in(raw: Any, tracker: str) -> list[Renewed]:
    """Return who renewed elsewhere, from entries of liveness."""
    found: list[Renewed] = []
    for each in raw:
        fields = _fields(each)
        if fields.get(b"t", b"").decode(errors="replace") == tracker:
            continue
        try:
            _check_format(_id(each), fields)
            found += _renewed_in.decode(fields[b"r"])
        except (KeyError, *_DAMAGED):
            continue  # Each is sent again in some seconds.
    return found


def last_id(raw: Any, default: str) -> str:
    """Return the id of the last of some entries."""
    return _id(raw[-1]) if raw else default


def as_of(changes: Sequence[Change], since_ms: int, now_ms: int) -> Iterable[Change]:
    """Return changes that were written down a while ago, with their ages as of now."""
    passed_s = max(0, round((now_ms - since_ms) / 1000))
    return (aged(change, passed_s) for change in changes) if passed_s else changes


def packed(changes: Sequence[Change]) -> bytes:
    """Return a chunk of a snapshot."""
    return zlib.compress(_encode(changes), level=1)


def unpacked(chunk: bytes) -> list[Change]:
    """Return the changes in a chunk; raises NotSavedError if it is none."""
    try:
        unpacking = zlib.decompressobj()
        body = unpacking.decompress(chunk, MAX_CHUNK_BYTES)
        if not unpacking.eof:
            raise NotSavedError("a chunk of the snapshot in the store is not whole, or too long")
        return _changes_in.decode(body)
    except (zlib.error, *_DAMAGED) as error:
        raise NotSavedError(f"the snapshot in the store is damaged ({error})") from None


def milliseconds(entry_id: str) -> int:
    """Return when an entry was appended, on the server's clock."""
    return int(entry_id.partition("-")[0])


def now_ms(raw: Any) -> int:
    """Return the server's clock, from its reply to TIME."""
    seconds, microseconds = raw
    return int(seconds) * 1000 + int(microseconds) // 1000


def read(link: Link, keys: Keys) -> Reading:
    """Return the whole log.

    Raises:
        NotSavedError: it cannot be read now.
        LostError: a part of it is missing.
        UnavailableError: it is in the format of a later release.
    """
    for _ in range(READ_TRIES):
        try:
            return _read(link, keys)
        except _ChangedError:
            time.sleep(0.1)
    raise LostError(f"a part of the log is missing in the store (keys {keys.prefix}:*)")


def latest_snapshot(link: Link, keys: Keys) -> Snapshot | None:
    """Return what is known of the snapshot that counts now."""
    return _snapshot(keys, link.call("GET", keys.snapshot))


def _read(link: Link, keys: Keys) -> Reading:
    raw_snapshot, raw_time = link.transaction([("GET", keys.snapshot), ("TIME",)])
    snapshot, now = _snapshot(keys, raw_snapshot), now_ms(raw_time)
    reading = Reading([], Place(), f"{now - RENEWAL_MS}-0", now, snapshot)
    if snapshot is not None:
        for chunk in _chunks(link, keys, snapshot):
            reading.log += as_of(chunk, snapshot.made_ms, now)
        reading.place = Place(snapshot.up_to, numbers=dict(snapshot.numbers))
        reading.place.mark = _mark(link, keys, snapshot.up_to)
    _read_on(link, keys, reading)
    return reading


def _read_on(link: Link, keys: Keys, reading: Reading) -> None:
    """Read the stream to its end."""
    place = reading.place
    while True:
        if place.last == START:
            _check_beginning(link, keys)
        raw = link.call(*page(keys, place))
        try:
            entries = list(entries_in(raw, place))
        except LostError:
            raise _ChangedError from None
        for entry in entries:
            if place.takes(entry):
                reading.log += as_of(entry.changes, milliseconds(entry.id), reading.now_ms)
            reading.growth.add(len(entry.changes), entry.size_bytes)
        if len(raw) < PAGE_ENTRIES:
            return


def _check_beginning(link: Link, keys: Keys) -> None:
    """Make sure that a stream without a snapshot has never been cut."""
    if not link.call("EXISTS", keys.log):
        return
    described = link.call("XINFO", "STREAM", keys.log)
    told = dict(zip(described[::2], described[1::2], strict=True))
    if told[b"length"] != told.get(b"entries-added", told[b"length"]):  # From Redis 7.0 on.
        raise _ChangedError


def _mark(link: Link, keys: Keys, entry_id: str) -> tuple[str, int]:
    raw = link.call("XRANGE", keys.log, entry_id, entry_id)
    if not raw:
        raise _ChangedError
    return _mark_of(_fields(raw[0]))


def _chunks(link: Link, keys: Keys, snapshot: Snapshot) -> Iterator[list[Change]]:
    found = 0
    while found < snapshot.chunks:
        last = found + PAGE_CHUNKS - 1
        chunks = link.call("LRANGE", keys.chunks(snapshot.name), found, last)
        if not chunks:
            raise _ChangedError
        for chunk in chunks:
            yield unpacked(chunk)
        found += len(chunks)


def _snapshot(keys: Keys, raw: bytes | None) -> Snapshot | None:
    if raw is None:
        return None
    try:
        fields = msgspec.json.decode(raw)
        _check_format(keys.snapshot, {b"f": str(fields["format"]).encode()})
        return msgspec.convert(fields, Snapshot)
    except (KeyError, TypeError, *_DAMAGED) as error:
        raise NotSavedError(f"the key {keys.snapshot} is not a tracker's ({error})") from None


def _id(raw: Any) -> str:
    return str(raw[0].decode())


def _fields(raw: Any) -> dict[bytes, bytes]:
    names_and_values = raw[1] or ()
    return dict(zip(names_and_values[::2], names_and_values[1::2], strict=True))


def _mark_of(fields: dict[bytes, bytes]) -> tuple[str, int]:
    """Return who appended an entry, and its number; no one and 0 if it is none of ours."""
    try:
        return fields[b"t"].decode(), int(fields[b"n"])
    except (KeyError, ValueError):
        return "", 0


def _entry(raw: Any) -> Entry:
    """Return an entry, without changes if it is none of ours: every tracker ignores the same."""
    fields = _fields(raw)
    try:
        _check_format(_id(raw), fields)
        body = fields[b"c"]
        changes = _changes_in.decode(body)
    except (KeyError, *_DAMAGED):
        return Entry(_id(raw), *_mark_of(fields), (), 0)
    return Entry(_id(raw), *_mark_of(fields), changes, len(body))


def _check_format(what: str, fields: dict[bytes, bytes]) -> None:
    """Raise UnavailableError if something comes from a later release."""
    version = int(fields[b"f"])
    if version > FORMAT:
        message = f"the store's log is in format {version} at {what}, and this shoal knows {FORMAT}"
        raise UnavailableError(f"{message}; update shoal here, as it was on another tracker")

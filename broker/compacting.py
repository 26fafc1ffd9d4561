"""`python -m shoal.broker.compacting`: makes a snapshot of the trackers' log, and cuts the log.

A process of its own: a tracker that did this would answer nobody meanwhile. It may be killed at any
moment: the new snapshot counts from one transaction on, and what was written before that expires.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from shoal.broker import redis_log
from shoal.broker.compaction import LOCK_S, Task
from shoal.broker.redis_link import Command, Link
from shoal.broker.redis_log import CHUNK_CHANGES, FORMAT, Keys, Reading, Snapshot
from shoal.broker.stores import LostError, NotSavedError
from shoal.broker.tracking.changes import Change
from shoal.broker.tracking.dump import dump
from shoal.broker.tracking.initial import Initial
from shoal.broker.tracking.settings import TrackerSettings
from shoal.broker.tracking.state import State
from shoal.protocol.errors import OperatorError

KEEP_MS = 60_000  # Of the stream, for trackers that lag behind, …
KEEP_OLD_S = 60  # … and how long the old snapshot stays, for those that are reading it.
MAX_TRACKERS = 1000  # Those of the last starts; only lately sent batches can come twice.
NICENESS = 10


def compact(link: Link, keys: Keys, token: str) -> Snapshot | None:
    """Make a snapshot and return it; None if there is nothing to do, or no lock any more.

    Raises:
        NotSavedError, LostError: the store cannot be read or written now.
        UnavailableError: a later release of shoal has written the log.
    """
    reading = redis_log.read(link, keys)
    if reading.place.last == redis_log.START:
        return None
    numbers = dict(list(reading.place.numbers.items())[-MAX_TRACKERS:])
    chunk_count = _write(link, keys.chunks(token), _folded(reading))
    told = token, reading.place.last, reading.now_ms, chunk_count, numbers
    snapshot = Snapshot(FORMAT, *told)
    return snapshot if _switched(link, keys, snapshot, reading.base) else None


def _folded(reading: Reading) -> Iterable[Change]:
    state = State(Initial(""), TrackerSettings())
    state.replay(reading.log, 0.0)
    return dump(state, 0.0)


def _write(link: Link, key: str, changes: Iterable[Change]) -> int:
    """Append the chunks to a list, which expires unless the snapshot is finished."""
    count = 0
    for chunk in _batched(changes):
        link.transaction([("RPUSH", key, redis_log.packed(chunk)), ("EXPIRE", key, LOCK_S)])
        count += 1
    return count


def _switched(link: Link, keys: Keys, snapshot: Snapshot, old: Snapshot | None) -> bool:
    """Have the snapshot count from now on, if the lock is still ours."""
    link.call("WATCH", keys.compacting)
    if link.call("GET", keys.compacting) != snapshot.name.encode():
        return False
    cut = max(0, redis_log.milliseconds(snapshot.up_to) - KEEP_MS)
    commands: list[Command] = [
        ("SET", keys.snapshot, msgspec.json.encode(snapshot)),
        ("PERSIST", keys.chunks(snapshot.name)),
        ("XTRIM", keys.log, "MINID", "=", cut),
        ("DEL", keys.compacting),
    ]
    if old is not None:
        commands.append(("EXPIRE", keys.chunks(old.name), KEEP_OLD_S))
    return bool(link.transaction(commands))


def _batched(changes: Iterable[Change]) -> Iterator[list[Change]]:
    batch: list[Change] = []
    for change in changes:
        batch.append(change)
        if len(batch) == CHUNK_CHANGES:
            yield batch
            batch = []
    if batch:
        yield batch


def main() -> int:
    """Do what standard input says."""
    os.nice(NICENESS)
    with contextlib.suppress(OSError):  # If memory is short, this goes first, not the tracker.
        Path("/proc/self/oom_score_adj").write_text("1000")
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    try:
        link = Link(task.url, task.password)
        try:
            compact(link, Keys(link.address.prefix), task.token)
        finally:
            link.close()
    except (NotSavedError, LostError, OperatorError) as error:
        print(error, file=sys.stderr)  # noqa: T201 (the tracker reads it)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

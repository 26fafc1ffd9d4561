"""When the shared log has grown so much that a snapshot is due, and the process that makes one.

Of all trackers, one at a time: by a key that expires. What is made, and how: broker.compacting.
"""

import logging
import secrets
import subprocess
import sys
import time

import msgspec
from shoal.broker.redis_link import Link
from shoal.broker.redis_log import START, Growth, Keys, Reading, latest_snapshot
from shoal.broker.stores import NotSavedError

_log = logging.getLogger("shoal.tracker")

# Of the log after a snapshot: what a tracker that starts reads in a second or two.
MAX_ENTRIES = 30_000
MAX_CHANGES = 100_000
MAX_BYTES = 64 << 20
LOCK_S = 300  # After this, a process that was killed no longer keeps others from making one.
TRY_AGAIN_S = 60.0
LOOK_AGAIN_S = 5.0  # Whether another tracker's process has made one.
_COMMAND = (sys.executable, "-P", "-m", "shoal.broker.compacting")


class Task(msgspec.Struct, frozen=True):
    """What the process is told, on its standard input: nobody else sees the password there."""

    url: str
    password: str | None
    token: str  # The lock's value, which shows that it is still ours.


class Compaction:
    """Counts what a tracker reads, and starts the process."""

    def __init__(self, link: Link, keys: Keys, url: str, password: str | None) -> None:
        self._link = link
        self._keys = keys
        self._url, self._password = url, password
        self._up_to = START  # Of the latest snapshot.
        self._growth = Growth()  # Since then.
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    def begin_at(self, reading: Reading) -> None:
        """Count from what was loaded."""
        self._up_to = reading.base.up_to if reading.base else START
        self._growth = reading.growth

    def add(self, change_count: int, size_bytes: int) -> None:
        """Count an entry that was read or appended."""
        self._growth.add(change_count, size_bytes)

    def consider(self) -> None:
        """Start the process if it is time, and see what has become of it."""
        if self._process is not None:
            self._look(self._process)
        if (
            _is_large(self._growth)
            and self._process is None
            and time.monotonic() >= self._not_before
        ):
            self._not_before = time.monotonic() + LOOK_AGAIN_S
            try:
                self._start()
            except (NotSavedError, OSError) as error:
                self._has_failed(str(error))

    def close(self) -> None:
        """End the process: whenever that is, the old snapshot or the new one is whole."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stderr is not None
            self._process.stderr.close()
            self._process = None

    def _start(self) -> None:
        latest = latest_snapshot(self._link, self._keys)
        if latest is not None and latest.up_to != self._up_to:  # Another tracker made it.
            self._up_to, self._growth, self._not_before = latest.up_to, Growth(), 0.0
            return
        token = secrets.token_hex(8)
        if not self._link.call("SET", self._keys.compacting, token, "NX", "EX", LOCK_S):
            return
        process = self._process = subprocess.Popen(  # noqa: S603 (ourselves)
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # A Ctrl-C on a terminal is for the tracker.
        )
        assert process.stdin is not None
        with process.stdin as stdin:
            stdin.write(msgspec.json.encode(Task(self._url, self._password, token)))

    def _look(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            return
        assert process.stderr is not None
        with process.stderr as stderr:
            lines = stderr.read().decode(errors="replace").splitlines()
        self._process = None
        if process.returncode:
            self._has_failed(lines[-1] if lines else f"exit code {process.returncode}")
        else:
            self._not_before = 0.0  # The next look at the snapshot finds the new one.

    def _has_failed(self, why: str) -> None:
        _log.warning("cannot shorten the log in the store (%s); trying again", why)
        self._not_before = time.monotonic() + TRY_AGAIN_S


def _is_large(growth: Growth) -> bool:
    return (
        growth.entry_count > MAX_ENTRIES
        or growth.change_count > MAX_CHANGES
        or growth.size_bytes > MAX_BYTES
    )

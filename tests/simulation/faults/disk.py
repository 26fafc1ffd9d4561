"""One host's disk: real files, behind calls of the operating system of which drawn ones fail.

Reads, writes, names and what makes them durable may fail, be cut short, take long, or be the last
thing that a process does. A process's descriptors are closed with it.
"""

import errno
import functools
import math
import os
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from shoal.node.files import libc

from tests.simulation.faults.threads import KilledError, Process, the_loop
from tests.simulation.faults.waiting import stir

WRITES = ("write", "pwrite", "copy_file_range", "posix_fallocate", "ftruncate")
NAMES = ("rename", "link", "symlink", "mkdir", "rmdir", "unlink")
READS = ("pread", "preadv")
OTHERS = ("fsync", "fchmod")
GROWS = {*WRITES, "mkdir", "symlink", "link", "open"}  # What a full disk refuses.
MOST_SLOW_S = 0.05
ROOM_BYTES = 1 << 40


class Habits(msgspec.Struct, frozen=True):
    """How often, in calls, something happens on a disk; never, by default."""

    fails_every: float = math.inf
    short_every: float = math.inf
    kills_every: float = math.inf
    slow_every: float = math.inf
    reads_fail_every: float = math.inf
    only: str = ""  # The call that fails or kills; empty: any.


SOUND = Habits()


class Disk:
    """What the calls of one host's processes lead to."""

    def __init__(self, host: str, folder: Path, rng: random.Random, hits: "Counter[str]") -> None:
        """Count in `hits` what happened."""
        self.host = host
        self.folder = folder
        self.is_full = False
        self.on_kill: Callable[[], None] = lambda: None
        self.on_named: Callable[[str], None] = lambda _: None
        self.on_done: Callable[[str, str], None] = lambda _, __: None  # A call, and to what.
        self.has_places = False  # Which only the user may change: `on_done` is told of all.
        self.unreadable: list[str] = []  # What nobody may open.
        self._rng = rng
        self._hits = hits
        self._habits = SOUND
        self._due: dict[str, int] = {}  # After so many calls.

    def behave(self, habits: Habits) -> None:
        """Have faults come that often from now on."""
        self._habits = habits
        self._due = {}
        for kind in ("fails", "short", "kills", "slow", "reads_fail"):
            self._draw(kind)

    def _draw(self, kind: str) -> None:
        every: float = getattr(self._habits, f"{kind}_every")
        if every < math.inf:
            self._due[kind] = 1 + int(self._rng.expovariate(1 / every))

    def _is_due(self, kind: str, name: str = "") -> bool:
        left = self._due.get(kind)
        if left is None or (name and self._habits.only not in {"", name}):
            return False
        self._due[kind] = left - 1
        if left > 1:
            return False
        self._draw(kind)
        return True

    def call(self, name: str, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Carry out a call that writes or names, or that makes durable."""
        loop = the_loop()
        if self._is_due("slow"):
            self._hits["disk: slow"] += 1
            loop.pass_time(self._rng.uniform(0.0, MOST_SLOW_S))
        self._refuse(name)
        if name in {"write", "pwrite"} and len(args[1]) > 1 and self._is_due("short"):
            self._hits["disk: short write"] += 1
            part = memoryview(args[1])[: self._rng.randrange(1, len(args[1]))]
            return call(args[0], part, *args[2:], **named)
        if self._is_due("kills", name):
            return self._be_killed(name, call, args, named)
        return call(*args, **named)

    def read(self, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
        if self._due and self._is_due("reads_fail"):
            self._hits["disk: read fails"] += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return call(*args, **named)

    def _refuse(self, name: str) -> None:
        if self.is_full and name in GROWS:
            self._hits["disk: full"] += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._is_due("fails", name):
            number = errno.ENOSPC if name in GROWS and self._rng.random() < 0.5 else errno.EIO
            self._hits[f"disk: {name} fails"] += 1
            the_loop_note(f"{self.host}: {name} fails with {errno.errorcode[number]}")
            raise OSError(number, os.strerror(number))

    def hit(self, what: str) -> None:
        self._hits[what] += 1

    def _be_killed(
        self, name: str, call: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        """Have the process die before, after or in the middle of a call."""
        self._hits[f"killed at {name}"] += 1
        the_loop_note(f"{self.host}: killed at {name}")
        when = self._rng.random()
        if when < 0.4:
            call(*args, **named)
        elif when < 0.6 and name in {"write", "pwrite"}:
            call(args[0], memoryview(args[1])[: len(args[1]) // 2], *args[2:], **named)
        self.on_kill()
        raise KilledError


_notes: list[Callable[[str], None]] = [lambda _: None]


def the_loop_note(text: str) -> None:
    _notes[-1](text)


def begin(note: Callable[[str], None]) -> None:
    """Have `note` told of each fault."""
    _notes[:] = [note]
    _disks.clear()


_disks: dict[str, Disk] = {}


def mount(disk: Disk) -> None:
    """Let the processes of a host use a disk."""
    _disks[disk.host] = disk


def _current() -> tuple[Process, Disk | None] | None:
    process = the_loop().process()
    if process is None:
        return None
    if process.is_dead:
        raise KilledError
    return process, _disks.get(process.host)


def _writing(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def stand_in(*args: Any, **named: Any) -> Any:
        stir()
        here = _current()
        if here is None or here[1] is None:
            return call(*args, **named)
        done = here[1].call(name, call, *args, **named)
        if here[1].has_places:
            for path in _changed(name, args, named):
                here[1].on_done(name, path)
        if name in {"rename", "link", "renameat2"}:
            here[1].on_named(_target(name, args, named))
        return done

    return stand_in


def _reading(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def stand_in(*args: Any, **named: Any) -> Any:
        here = _current()
        return (
            call(*args, **named)
            if here is None or here[1] is None
            else here[1].read(call, *args, **named)
        )

    return stand_in


def _target(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> str:
    """Return the path that has been given to something."""
    directory, last = (
        (args[2], args[3]) if name == "renameat2" else (named.get("dst_dir_fd"), args[1])
    )
    last = os.fsdecode(last)
    if directory is None or last.startswith("/"):
        return last
    return f"{_readlink(f'/proc/self/fd/{directory}')}/{last}"


def _changed(name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Iterator[str]:
    """Return which names a call has given or taken away."""
    if name in {"rename", "link", "renameat2"}:
        yield _target(name, args, named)
    if name in {"rename", "renameat2"}:
        at = args[0] if name == "renameat2" else named.get("src_dir_fd")
        yield _at(at, args[1] if name == "renameat2" else args[0])
    if name == "symlink":
        yield _at(named.get("dir_fd"), args[1])
    if name in {"mkdir", "rmdir", "unlink"}:
        yield _at(named.get("dir_fd"), args[0])


def _at(directory: int | None, name: Any) -> str:
    """Return a path in a directory, without following its last part."""
    path = Path(os.fsdecode(name))
    above = "/" if directory in {None, libc.AT_FDCWD} else _readlink(f"/proc/self/fd/{directory}")
    return f"{os.path.realpath(Path(above, path.parent))}/{path.name}"


def _require_readable(disk: Disk, path: Any) -> None:
    if not disk.unreadable:
        return
    place = os.path.realpath(os.fsdecode(path))
    if any(place == one or place.startswith(f"{one}/") for one in disk.unreadable):
        disk.hit("disk: unreadable")
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


_readlink, _open, _close, _dup = os.readlink, os.open, os.close, os.dup


def _opening(path: Any, flags: int, *args: Any, **named: Any) -> int:
    here = _current()
    if here is None:
        return _open(path, flags, *args, **named)
    process, disk = here
    if disk is not None:
        _require_readable(disk, path)
    if disk is not None and flags & (os.O_WRONLY | os.O_RDWR):
        number: int = disk.call("open", _open, path, flags, *args, **named)
        if disk.has_places:
            disk.on_done("open", _readlink(f"/proc/self/fd/{number}"))
    else:
        number = _open(path, flags, *args, **named)
    _descriptors(process).add(number)
    return number


def _copying(number: int) -> int:
    copy = _dup(number)
    here = _current()
    if here is not None:
        _descriptors(here[0]).add(copy)
    return copy


def _closing(number: int) -> None:
    stir()
    here = _current()
    if here is not None:
        _descriptors(here[0]).discard(number)
    _close(number)


class Usage(NamedTuple):
    """How much fits on a disk."""

    total: int
    used: int
    free: int


def _usage(_: Any) -> Usage:
    """Stand in for shutil.disk_usage: what the real disk has left is not decided by the seed."""
    here = _current()
    free = 0 if here is not None and here[1] is not None and here[1].is_full else ROOM_BYTES
    return Usage(ROOM_BYTES, ROOM_BYTES - free, free)


_open_ones: dict[Process, set[int]] = {}


def _descriptors(process: Process) -> set[int]:
    known = _open_ones.get(process)
    if known is None:
        known = _open_ones[process] = set()
        process.at_end.append(functools.partial(_close_all, process))
    return known


def _close_all(process: Process) -> None:
    for number in sorted(_open_ones.pop(process, ())):
        try:
            _close(number)
        except OSError:
            pass


def left_open(process: Process) -> int:
    """Return how many descriptors a process has."""
    return len(_open_ones.get(process, ()))


class Database(sqlite3.Connection):
    """A database whose statements fail where the disk does."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._is_on_disk = args[0] != ":memory:"
        process = the_loop().process()
        if process is not None:
            process.at_end.append(self.close)

    def execute(self, *args: Any) -> sqlite3.Cursor:
        self._ask(args[0])
        return super().execute(*args)

    def executescript(self, script: str) -> sqlite3.Cursor:
        self._ask(script)
        return super().executescript(script)

    def _ask(self, statement: str) -> None:
        here = _current()
        if here is None or here[1] is None or not self._is_on_disk:
            return
        try:
            if statement.startswith(("SELECT", "PRAGMA", "ROLLBACK")):
                here[1].read(lambda: None)
            else:
                here[1].call("write", lambda *_: None, 0, b"")
        except OSError as refused:
            number = sqlite3.SQLITE_FULL if refused.errno == errno.ENOSPC else sqlite3.SQLITE_IOERR
            error = sqlite3.OperationalError(refused.strerror)
            error.sqlite_errorcode = number
            raise error from None


_connect = sqlite3.connect


def _connecting(*args: Any, **named: Any) -> sqlite3.Connection:
    made: sqlite3.Connection = _connect(*args, **{"factory": Database, **named})
    return made


REPLACED: list[tuple[Any, str, Callable[..., Any]]] = [
    *((os, name, _writing(name, getattr(os, name))) for name in (*WRITES, *NAMES, *OTHERS)),
    *(
        (libc, name, _writing(name, getattr(libc, name)))
        for name in ("renameat2", "syncfs", "punch_hole")
    ),
    *((os, name, _reading(getattr(os, name))) for name in READS),
    (shutil, "disk_usage", _usage),
    (os, "open", _opening),
    (os, "dup", _copying),
    (os, "close", _closing),
    (sqlite3, "connect", _connecting),
]

"""What processes get of the system: the time, random numbers, threads. Puts stand-ins there."""

import contextlib
import os
import queue
import random
import secrets
import selectors
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import thread as pools
from typing import Any

import inotify_simple
from shoal.node import agent
from shoal.node.folder import changes
from shoal.node.network import fetcher, front
from shoal.node.orders.fetches import Fetches
from shoal.node.serving import server
from shoal.node.staging import write_behind
from shoal.system import memory
from shoal.wire import listener

from tests.simulation.faults import admission, disk, limits, locks, patterns, waiting, watched
from tests.simulation.faults.threads import Loop, Thread, Timer, the_loop

LOOK_S = 0.1  # At the memory, which does not grow here: more often only takes more real time.
WALL_S = 1_800_000_000.0  # In 2027; files have the real time, which is less.
SMALL_BYTES = 4 << 10
RESIDENT_BYTES = 64 << 20
FIRST_PID = 1 << 23  # Above all real ones.

_getpid, _real_current_thread = os.getpid, threading.current_thread


class Drawn(random.Random):
    """A generator that takes its seed from the loop's, unless it is given one."""

    def __init__(self, seed: Any = None) -> None:
        super().__init__(the_loop().rng.getrandbits(64) if seed is None else seed)

    def seed(self, a: Any = None, version: int = 2) -> None:
        super().seed(a, version)


class INotify(inotify_simple.INotify):  # type: ignore[misc]  # It has no types.
    """inotify's, closed with its process."""

    def __init__(self, **named: Any) -> None:
        process = the_loop().process()
        if process is not None and process.number % 5 == 0:
            raise OSError(24, "too many of them")  # Some hosts have to look again and again.
        super().__init__(**named)
        if process is not None:
            process.at_end.append(self.close)


def _clock() -> float:
    return the_loop().clock


def _sleep(seconds: float) -> None:
    the_loop().pass_time(seconds)


def _current_thread() -> Any:
    return the_loop().current() or _real_current_thread()


def _wall() -> float:
    return WALL_S + the_loop().now


def _wall_ns() -> int:
    return int(1e9 * _wall())


def _local_time(seconds: float | None = None) -> time.struct_time:
    return time.gmtime(_wall() if seconds is None else seconds)


def _process_id() -> int:
    process = the_loop().process()
    return _getpid() if process is None else FIRST_PID + process.number


def _bytes(count: int) -> bytes:
    return the_loop().rng.randbytes(count)


def _hex(count: int) -> str:
    return _bytes(count).hex()


REPLACED: list[tuple[Any, str, Any]] = [
    *waiting.REPLACED,
    *patterns.REPLACED,
    *disk.REPLACED,
    (selectors, "DefaultSelector", waiting.Selector),
    (threading, "Thread", Thread),
    (threading, "current_thread", _current_thread),
    (threading, "Timer", Timer),
    (threading, "Lock", locks.Lock),
    (threading, "RLock", locks.RLock),
    (threading, "_allocate_lock", locks.Lock),
    (threading, "_time", _clock),
    (queue, "SimpleQueue", queue._PySimpleQueue),  # type: ignore[attr-defined]
    (queue, "time", _clock),
    (time, "monotonic", _clock),
    (time, "sleep", _sleep),
    (time, "thread_time", lambda: 0.0),
    (time, "time", _wall),
    (time, "time_ns", _wall_ns),
    (random, "Random", Drawn),
    (random, "SystemRandom", Drawn),
    (os, "urandom", _bytes),
    (os, "getpid", _process_id),
    (listener, "WATCH_S", LOOK_S),
    (memory, "resident_bytes", lambda: RESIDENT_BYTES),  # That of all hosts, and of earlier seeds.
    (secrets, "token_hex", _hex),
    (changes, "INotify", INotify),
    (fetcher, "Download", watched.WatchedDownload),
    (agent, "Obeying", watched.WatchedObeying),
    (Fetches, "heal", watched.healed),
    *admission.REPLACED,
    *limits.REPLACED,
    (agent, "Rates", limits.WatchedRates),
    (time, "localtime", _local_time),
    # What depends on the sizes of chunks, which are small here.
    (server, "COUNTED_BYTES", SMALL_BYTES),
    (front, "COUNTED_BYTES", SMALL_BYTES),
    (write_behind, "LEAST_BYTES", SMALL_BYTES),
]


@contextlib.contextmanager
def replaced(loop: Loop) -> Iterator[None]:
    """Have the product's modules find the stand-ins for as long as a simulation runs."""
    if inotify_simple._libc is None:  # It looks for it once, which takes calls.
        inotify_simple.INotify().close()
    loop.looks.append(waiting.look)
    kept = [(place, name, getattr(place, name)) for place, name, _ in REPLACED]
    try:
        for place, name, stand_in in REPLACED:
            setattr(place, name, stand_in)
        yield
    finally:
        loop.is_over = True
        for place, name, own in kept:
            setattr(place, name, own)
        pools._threads_queues = weakref.WeakKeyDictionary()
        waiting.forget_all()

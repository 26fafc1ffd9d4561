"""Orders to read: answered with what is here, while a fetch brings the rest.

All who read a version share one fetch, which brings what they read and some more behind it, and all
of a file that is read from its beginning on. It ends soon after the last has closed it; what has
come stays in staging. A reader that has not been heard of for long counts as gone.
"""

import contextlib
import functools
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from shoal.node.fetching import versions
from shoal.node.orders import questions, standing
from shoal.node.orders.home import Home
from shoal.node.orders.opened import Opened
from shoal.node.orders.readership import Readership, begun, mover, order_for
from shoal.protocol import control
from shoal.protocol.control import (
    MAX_READ_BYTES,
    Bytes,
    CloseOrder,
    Fetched,
    FetchOrder,
    OpenOrder,
    ReadOrder,
    There,
    Working,
)
from shoal.protocol.errors import (
    KINDS,
    BugError,
    Kind,
    NotFoundError,
    OperatorError,
    StoppedError,
    TrackerError,
    refused,
)
from shoal.protocol.manifest import ContentId, is_id
from shoal.protocol.names import display

log = logging.getLogger("shoal.node")

T = TypeVar("T")
LOOK_S = 0.5  # How often to look without news: another order's fetch may have ended.
ENOUGH_BYTES = 16 << 20  # To answer one who reads a whole file: an order costs a millisecond, …
PAUSE_S = 0.02  # … so that with less here, it is better to wait a little for more.
LINGER_S = 3.0  # How long a fetch waits for the next reader, at most.
SILENT_S = 600.0  # A reader that has read nothing for so long counts as gone, …
MOST_READERS = 1000  # … as do the oldest of more than this.
MOST_RUNS = 3  # Fetches that succeed and bring nothing to read: then something is wrong.

OnProgress = Callable[[Working], None]
Fetch = Callable[[FetchOrder, OnProgress, Callable[[], bool]], Fetched]  # Last: is it wanted?
Cancel = Callable[[FetchOrder, Kind], None]


class Reading:
    """What is being read on this machine. May be used from any thread."""

    def __init__(self, home: Home, fetch: Fetch, cancel: Cancel) -> None:
        self._home = home
        self._fetch = fetch
        self._cancel = cancel
        self._guard = threading.RLock()
        self._shared: dict[ContentId, Readership] = {}
        self._cancelled: dict[int, Kind | None] = {}  # By order that waits.
        self._fetching: dict[int, FetchOrder] = {}  # What one that waits has given itself.
        self._stop_kind: Kind | None = None
        self._running: set[threading.Thread] = set()  # With fetches.

    def carry_out(self, order: control.Reading) -> control.Told:
        """Carry out one of the orders below; raises as `open`."""
        match order:
            case OpenOrder():
                return self.open(order)
            case ReadOrder():
                return self.read(order)
            case CloseOrder():
                return self.close(order)

    def open(self, order: OpenOrder) -> control.Opened:
        """Return which version is meant, and how large its file is; have it fetched if need be.

        Raises:
            OperatorError: as for an order to fetch it.
        """
        with self._attending(order):
            content_id, what, inside = self._pin(order)
            shared = self._shared_by(content_id, what, order.reader, inside)
            try:
                _, size_bytes = self._wait(order, shared, lambda: shared.thing.place(inside))
            except OperatorError:
                self._leave(shared, order.reader)
                self._end_unread(shared)  # Or the next reader would be told the same.
                raise
        return control.Opened(what, inside, content_id, size_bytes)

    def read(self, order: ReadOrder) -> Bytes | There:
        """Return bytes, or where they are, as soon as the first is here; none at the end.

        Raises as `open`.
        """
        with self._attending(order):
            content_id = ContentId(order.what[-len("b3:") - standing.ID_DIGITS :])
            if not is_id(content_id):
                raise OperatorError(f"{display(order.what)} is no version; give NAME@ID")
            inside, offset, size_bytes = order.inside, order.offset, order.size_bytes
            shared = self._shared_by(content_id, order.what, order.reader, inside)
            thing = shared.thing
            _, file_bytes = self._wait(order, shared, lambda: thing.place(inside))
            if offset >= file_bytes:
                return Bytes()
            move = mover(order, thing, self._home.attention)
            move()
            if not order.pointed:
                size_bytes = min(size_bytes, MAX_READ_BYTES)

                def look() -> bytes | None:
                    move()
                    return thing.read(inside, offset, size_bytes)

                return Bytes(self._wait(order, shared, look))
            return self._point(order, shared, file_bytes - offset, move)

    def _point(
        self, order: ReadOrder, shared: Readership, left_bytes: int, move: Callable[[], None]
    ) -> There:
        """Wait until something is here to point at, and a moment longer if it is little."""
        thing = shared.thing

        def look() -> There | None:
            move()
            return thing.point(order.inside, order.offset)

        wants_all = thing.wants_all(order.reader)
        enough_bytes = min(ENOUGH_BYTES, left_bytes if wants_all else order.size_bytes)
        until = math.inf
        while True:
            there = self._wait(order, shared, look)
            now = time.monotonic()
            until = min(until, now + PAUSE_S)
            if there.size_bytes >= min(enough_bytes, left_bytes) or now >= until:
                thing.has(order.reader, order.offset + there.size_bytes)
                return there
            if wants_all:
                time.sleep(PAUSE_S)  # To be woken by each chunk would take the fetch's time.
            else:
                self._home.attention.wait(self._home.attention.count, until - now)

    def close(self, order: CloseOrder) -> control.Closed:
        """Forget a reader; a fetch that was for it alone brings nothing more, and stops soon."""
        with self._guard:
            for shared in list(self._shared.values()):
                if order.reader in shared.readers:
                    self._leave(shared, order.reader)
        return control.Closed(order.what)

    def cancel(self, order: object, kind: Kind) -> None:
        """Have an order wait no more."""
        with self._guard:
            if id(order) in self._cancelled:
                self._cancelled[id(order)] = kind
            fetch = self._fetching.get(id(order))
        if fetch is not None:
            self._cancel(fetch, kind)
        self._home.attention.news()

    def cancel_all(self, kind: Kind) -> None:
        """Have all wait no more, now and later. For signal handlers too: no lock."""
        self._stop_kind = kind

    def stop(self) -> None:
        """Wait until nothing is fetched any more; call `cancel_all` first."""
        with self._guard:
            running = list(self._running)
        for thread in running:
            thread.join()

    # Which version is meant.

    def _pin(self, order: OpenOrder) -> tuple[ContentId, str, str]:
        """Return its id, how it is ordered from now on, and the path of the file in it."""
        home, what = self._home, order.what
        here = standing.here(home, what)
        if here is not None:
            return here.id, _named(here.name, here.id), ""
        ask = functools.partial(questions.ask, home, lambda: self._check(order))
        try:
            meant = versions.find(what, ask)
        except versions.LyingTrackerError:
            message = f"asked for {display(what)}, the tracker answered for another"
            raise TrackerError(f"{message}; find out whose tracker that is") from None
        except TrackerError:
            with contextlib.suppress(OperatorError):
                return self._pin_here(what)
            raise
        if meant.answer is None:
            return self._pin_here(what)
        name = meant.name or meant.answer.name
        found = home.watcher.look_at(name)
        if found is not None and standing.is_what_is_meant(home, found, meant):
            return found.id, _named(name, found.id), meant.inside
        if meant.id is None:  # Only the cluster file has mentioned it: its holders know.
            fetched = self._fetch_by_name(order)
            return ContentId(fetched.id), _named(name, fetched.id), meant.inside
        named = _named(meant.name, meant.id) if meant.name is not None else meant.id
        return ContentId(meant.id), named, meant.inside

    def _fetch_by_name(self, order: OpenOrder) -> Fetched:
        fetch = FetchOrder(order.what)
        with self._guard:
            self._fetching[id(order)] = fetch
        try:
            return self._fetch(
                fetch, lambda _: None, lambda: self._cancelled.get(id(order)) is None
            )
        finally:
            with self._guard:
                del self._fetching[id(order)]

    def _pin_here(self, what: str) -> tuple[ContentId, str, str]:
        """Return what is meant, if it is here; raises NotFoundError."""
        try:
            found, inside = standing.newest_here(self._home, what)
        except NotFoundError:
            message = f"no such file was found: {display(what)}"
            raise NotFoundError(f"{message}; `shoal ls` shows what there is") from None
        return found.id, _named(found.name, found.id), inside

    # Who reads.

    def _shared_by(self, content_id: ContentId, what: str, reader: str, inside: str) -> Readership:
        now = time.monotonic()
        with self._guard:
            self._drop_silent(now)
            shared = self._shared.get(content_id)
            if shared is None:
                shared = Readership(Opened(self._home, content_id, what))
                self._shared[content_id] = shared
            shared.readers[reader] = inside, now
            return shared

    def _drop_silent(self, now: float) -> None:
        for silent in self._silent(now):
            self._leave(*silent)

    def _silent(self, now: float) -> list[tuple[Readership, str]]:
        readers = [
            (heard_at, reader, shared)
            for shared in self._shared.values()
            for reader, (_, heard_at) in shared.readers.items()
        ]
        readers.sort(key=lambda one: one[0])
        excess = max(0, len(readers) - MOST_READERS)
        return [
            (shared, reader)
            for at, (heard_at, reader, shared) in enumerate(readers)
            if at < excess or heard_at < now - SILENT_S
        ]

    def _leave(self, shared: Readership, reader: str) -> None:
        with self._guard:
            shared.readers.pop(reader, None)
            shared.thing.left(reader)
            self._home.attention.urge(shared.thing.id, shared.thing.urged())
            if not shared.readers:
                shared.left_at = time.monotonic()
                if shared.order is None:
                    self._forget(shared)

    def _forget(self, shared: Readership) -> None:
        if self._shared.get(shared.thing.id) is shared:
            del self._shared[shared.thing.id]
            self._home.attention.urge(shared.thing.id)

    def _look_after(self, shared: Readership) -> None:
        """Stop a fetch that has waited long for a reader, or that another order waits for."""
        now, content_id = time.monotonic(), shared.thing.id
        with self._guard:
            self._drop_silent(now)
            if shared.readers or shared.is_over or shared.order is None:
                return
            if now >= shared.left_at + LINGER_S or self._home.attention.is_wanted(content_id):
                self._end_unread(shared)

    def _end_unread(self, shared: Readership) -> None:
        """Stop a fetch at once if nobody reads any more."""
        with self._guard:
            if not shared.readers:
                self._forget(shared)
                if shared.order is not None and not shared.is_over:
                    shared.is_over = True
                    self._cancel(shared.order, StoppedError)

    # Waiting.

    @contextlib.contextmanager
    def _attending(self, order: object) -> Iterator[None]:
        with self._guard:
            self._cancelled[id(order)] = None
        try:
            self._check(order)
            yield
        finally:
            with self._guard:
                del self._cancelled[id(order)]

    def _check(self, order: object) -> None:
        kind = self._cancelled.get(id(order)) or self._stop_kind
        if kind is not None:
            raise kind("interrupted; what has come is kept; read it again")

    def _wait(
        self, order: OpenOrder | ReadOrder, shared: Readership, look: Callable[[], T | None]
    ) -> T:
        """Return what `look` finds, as soon as it finds something; have it fetched meanwhile."""
        attention, since, succeeded = self._home.attention, shared.ended, 0
        while True:
            count = attention.count
            self._check(order)
            found = look()
            if found is not None:
                return found
            with self._guard:
                shared.heard(order.reader)
                if shared.order is None and shared.ended > since:
                    if shared.trouble is not None:
                        raise KINDS[shared.trouble.kind](str(shared.trouble))
                    since, succeeded = shared.ended, succeeded + 1
                    if succeeded == MOST_RUNS:
                        message = f"{display(shared.thing.what)} cannot be read after its fetch"
                        raise OperatorError(f"{message}; see who changes it")
                self._have_fetched(shared)
            attention.wait(count, LOOK_S)

    # The fetch.

    def _have_fetched(self, shared: Readership) -> None:
        """Begin a fetch of all that is open; if one runs that lacks some of it, instead of that."""
        if self._stop_kind is not None:
            return
        paths = frozenset(inside for inside, _ in shared.readers.values())
        if shared.order is not None:
            if not paths <= shared.paths and not shared.is_over:
                shared.is_over = True
                self._cancel(shared.order, StoppedError)
            return
        if paths != {""}:
            paths |= begun(self._home.identity.folder, shared.thing.id)
        shared.order, shared.paths = order_for(shared.thing.what, paths), paths
        shared.is_over, shared.trouble = False, None
        args = shared, shared.order
        thread = threading.Thread(target=self._run, args=args, name="reading", daemon=True)
        self._running.add(thread)
        thread.start()

    def _run(self, shared: Readership, order: FetchOrder) -> None:
        trouble: OperatorError | None = None
        fetched: Fetched | None = None
        try:
            look = functools.partial(self._look_after, shared)
            fetched = self._fetch(order, lambda _: look(), lambda: not shared.is_over)
        except OperatorError as error:
            trouble = error
        except OSError as error:
            trouble = refused(error)
        except Exception as error:
            log.exception("a fetch for readers failed")
            trouble = BugError(f"the node ran into a bug: {error!r}")
        with self._guard:
            if fetched is not None:
                for inside in shared.paths:
                    path = self._home.identity.place(fetched.name) / inside
                    shared.thing.came(inside, Path(path))
            shared.order = None
            if not (shared.is_over and isinstance(trouble, StoppedError)):
                shared.trouble = trouble
                shared.ended += 1
            if not shared.readers:
                self._forget(shared)
            self._running.discard(threading.current_thread())
        self._home.attention.news()


def _named(name: str, content_id: str) -> str:
    return f"{name}@{content_id}"

"""The thread that fetches what the tracker wishes this node to hold."""

import logging
import threading
import time
from collections.abc import Callable

from shoal.node.orders.activity import Activity
from shoal.node.orders.home import Home
from shoal.node.serving.wished import STUCK_S, Free, Wished
from shoal.node.staging.partial import PartialFile
from shoal.protocol.control import Fetched, FetchOrder, Working
from shoal.protocol.errors import Kind, OperatorError, StoppedError
from shoal.protocol.names import display
from shoal.protocol.pushing import Doing, Wish

log = logging.getLogger("shoal.node")

OnProgress = Callable[[Working], None]


STUCK = f"nothing has come of it for {STUCK_S:.0f} s; what else is pushed comes first"


class Obeying:
    """Fetches one wish after the other, from `start` to `stop`."""

    def __init__(
        self,
        home: Home,
        activity: Activity,
        fetch: Callable[[FetchOrder, OnProgress, str, Callable[[], bool]], Fetched],
        cancel: Callable[[FetchOrder, Kind], None],
        on_change: Callable[[], None],
    ) -> None:
        """Carry out wishes.

        Args:
            home: the node's parts.
            activity: what the node is doing; asked for room on the disk.
            fetch: carries out an order and tells of its progress. It is told which content it
                will fetch, and asks whether the order still holds when it is about to begin.
            cancel: has the order fail that is being carried out.
            on_change: is called when there is something new to tell.
        """
        self.node = home.identity.name
        self.obeys = home.identity.obeys
        self._home = home
        self._on_change = on_change
        self._activity = activity
        self._fetch = fetch
        self._cancel = cancel
        self._wished = Wished()
        self._changed = threading.Condition()
        self._order: tuple[Wish, FetchOrder] | None = None
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="wishes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End; a fetch that is under way must have been cancelled."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()

    def take(self, wishes: list[Wish]) -> None:
        """Take in all that is wished now. May be called from any thread."""
        with self._changed:
            self._wished.take(wishes)
            order = self._order
            is_over = order is not None and not self._wished.still_holds(order[0])
            self._changed.notify_all()
        if order is not None and is_over:
            self._cancel(order[1], StoppedError)

    @property
    def is_busy(self) -> bool:
        """Whether something is being fetched, so that people may be watching."""
        return self._order is not None

    def counts(self) -> tuple[int, int]:
        """Return how much is wished, and how much of it fails. Waits for nobody."""
        return len(self._wished), self._wished.failing_count

    def doing(self) -> Doing:
        """Return what the node is doing. May be called from any thread."""
        with self._changed:
            failures = self._wished.failures(time.monotonic())
        return self._activity.doing(failures, obeys=self.obeys)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_stopping:
                    return
                wish = self._next()
                if wish is None:
                    has_wishes = len(self._wished) > 0
                    pause_s = self._wished.pause_s(time.monotonic()) if has_wishes else None
                    self._changed.wait(pause_s)
                    continue
                order = self._order_for(wish)
                self._order = wish, order
            self._on_change()
            self._carry_out(wish, order)

    def _order_for(self, wish: Wish) -> FetchOrder:
        what = f"{wish.name}@{wish.id.removeprefix('b3:')}"
        return FetchOrder(what, in_place=self._home.identity.in_place)

    def _next(self) -> Wish | None:
        if not len(self._wished):
            return None
        return self._wished.next(time.monotonic(), self._is_here, self._free())

    def _free(self) -> Free:
        return Free(self._activity.room_bytes(), self._part_bytes)

    def _carry_out(self, wish: Wish, order: FetchOrder) -> None:
        trouble: OperatorError | None = None
        makes_way = False

        def note(working: Working) -> None:
            nonlocal makes_way
            now, here, free = time.monotonic(), self._is_here, self._free()
            with self._changed:
                makes_way |= self._wished.makes_way(working.have_bytes, now, here, free, wish)
            if makes_way:
                self._cancel(order, StoppedError)

        self._wished.begun(time.monotonic())
        try:
            self._fetch(order, note, wish.id, lambda: self._wished.still_holds(wish))
        except OperatorError as error:
            trouble = OperatorError(STUCK) if makes_way else error
        with self._changed:
            self._order = None
            if trouble is None and not self._is_here(wish):
                trouble = OperatorError("it is here under another name, or has changed since")
            if trouble is None or self._is_stopping or not self._wished.still_holds(wish):
                return
            self._wished.failed(wish, trouble.brief, type(trouble), time.monotonic())
        self._on_change()
        log.warning("%s was pushed, and cannot be fetched: %s", display(wish.name), trouble)

    def _is_here(self, wish: Wish) -> bool:
        found = self._home.inventory.whole(wish.name)
        return found is not None and found.id == wish.id

    def _part_bytes(self, wish: Wish) -> int:
        found = self._home.inventory.find(wish.id)
        return found.have_bytes if isinstance(found, PartialFile) else 0

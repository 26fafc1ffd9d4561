"""Hashes again what a node holds; what has rotted is healed from others, or not shared any more."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from shoal.node.files.signature import GoneError
from shoal.node.folder.hashing import HashProgress, verified_chunks
from shoal.node.folder.whole import Whole
from shoal.node.orders import standing
from shoal.node.orders.fetches import Fetches
from shoal.node.orders.healing import (
    HEALING_ALONE,
    ChangedError,
    Healing,
    OnProgress,
    Running,
    examined,
)
from shoal.node.orders.home import Home
from shoal.protocol import bitmap
from shoal.protocol.control import Examined, Verified, VerifyOrder, Working
from shoal.protocol.errors import Kind, OperatorError
from shoal.protocol.names import display

PAGE_THINGS = 1000  # In one report, which has a limit of 4096.
LOOKS = 3  # At something that keeps changing.


class Verifying:
    """Carries out orders to verify, each in its caller's thread."""

    def __init__(self, home: Home, fetches: Fetches, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed."""
        self._home = home
        self._fetches = fetches
        self._healing = Healing(home, fetches, announce)
        self._guard = threading.Lock()
        self._running: dict[str, Running] = {}
        self._stop_kind: Kind | None = None

    def verify(self, order: VerifyOrder, on_progress: OnProgress) -> Verified:
        """Hash again what is held, heal what has rotted, and withdraw what cannot be healed.

        Raises:
            OperatorError: it is not here, or was to stop.
        """
        running = Running(self._stop_kind, on_progress)
        with self._run(order.what or "", running):
            if order.what and self._has_changed(order.what):
                return Verified((self._healing.put_back(order.what, running),))
            if order.what and self._home.rules.of(order.what).to_heal is not None:
                return Verified((self._healing.heal_withheld(order.what, running),))
            try:
                things = self._meant(order)
            finally:
                running.check()  # What was not looked at may be missing.
            page = things[:PAGE_THINGS]
            found = [self._examine(thing, running) for thing in page]
            is_all = len(things) == len(page)
            there = tuple(one for one in found if one is not None)
            changed = self._changed_copies() if is_all and order.what is None else ()
            return Verified((*there, *changed), None if is_all else page[-1].name)

    def heal(self, thing: Whole, wrong: int) -> Examined | None:
        """Withdraw a thing of which some chunks were found `wrong`, and heal it.

        Returns how it is; None if it is gone, or has been changed on purpose.

        Raises:
            OperatorError: it is being verified, or was to stop.
        """
        running = Running(self._stop_kind, lambda _: None, HEALING_ALONE)
        with self._run(thing.name, running):
            current = self._home.watcher.look_at(thing.name)
            if current is None or current.signature != thing.signature:
                return None
            # At once: to hash all of it may take long.
            part = self._healing.withdraw(thing, bitmap.full(thing.chunk_count) & ~wrong)
            try:
                right = _right_chunks(thing, running) & ~wrong
                return self._healing.heal(thing, right, running)
            finally:
                self._healing.serve_no_more(part)

    def heal_again(self, name: str) -> Examined | None:
        """Try once more to heal what was withdrawn; None if it has been changed since.

        Raises:
            OperatorError: it is being verified, or was to stop.
        """
        running = Running(self._stop_kind, lambda _: None, HEALING_ALONE)
        with self._run(name, running):
            try:
                return self._healing.heal_withheld(name, running)
            except ChangedError:
                return None

    def cancel(self, what: str | None, kind: Kind) -> None:
        """Stop the verification of `what`."""
        with self._guard:
            running = self._running.get(what or "")
        if running is not None:
            self._stop(running, kind)

    def cancel_all(self, kind: Kind) -> None:
        """Stop all, and those that would begin later. For signal handlers too."""
        self._stop_kind = kind
        for running in list(self._running.values()):
            self._stop(running, kind)

    def _stop(self, running: Running, kind: Kind) -> None:
        running.stop_kind = kind
        if running.healing is not None:
            self._fetches.cancel_healing(running.healing, kind)

    @contextlib.contextmanager
    def _run(self, what: str, running: Running) -> Iterator[None]:
        with self._guard:
            if what in self._running:
                name = display(what or self._home.identity.name)
                raise OperatorError(f"{name} is being verified already; wait for it")
            self._running[what] = running
        try:
            yield
        finally:
            with self._guard:
                del self._running[what]

    def _meant(self, order: VerifyOrder) -> list[Whole]:
        if order.what is not None:
            return [standing.held(self._home, order.what)]
        if not order.after:
            self._home.watcher.look_through()
            self._home.watcher.wait_for_large()
        things = (thing for thing in self._home.inventory.wholes() if thing.name > order.after)
        return sorted(things, key=lambda thing: thing.name)

    def _has_changed(self, name: str) -> bool:
        """Say whether it is a copy that has changed since it was fetched."""
        if self._home.watcher.look_at(name) is not None:
            return False
        withheld = self._home.register.withheld(name)
        return withheld is not None and withheld.is_copy

    def _changed_copies(self) -> Iterator[Examined]:
        """Yield the copies that have changed. They are left alone: each may be somebody's work."""
        for found in self._home.register.all_withheld():
            if found.is_copy:
                trouble = found.reason(self._home.identity.name)
                yield Examined(found.name, found.id, 0, 0, trouble=trouble, changed=True)

    def _examine(self, thing: Whole, running: Running) -> Examined | None:
        """Return how it is; None if it is gone, or keeps changing: then it is not rotten."""
        for _ in range(LOOKS):
            running.check()
            right = _right_chunks(thing, running)
            if right == bitmap.full(thing.chunk_count):
                return examined(thing, right)
            current = self._home.watcher.look_at(thing.name)
            if current is None:
                return None
            if current.signature == thing.signature:
                return self._healing.heal(thing, right, running)
            thing = current  # It was changed on purpose: there is a time to tell it by.
        return None


def _right_chunks(thing: Whole, running: Running) -> int:
    """Hash all of a thing; return the chunks that are as they should be (protocol.bitmap)."""
    progress = HashProgress()
    progress.begin(
        [thing.source],
        lambda done, total: running.on_progress(Working(thing.name, done, total, None)),
    )

    def read(index: int) -> bytes:
        running.check()
        try:
            return thing.read(index)
        except GoneError:
            return b""
        finally:
            progress.hashed(thing.manifest.chunk_size(index))

    return verified_chunks(read, thing.manifest, list(range(thing.chunk_count)))

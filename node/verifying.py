"""Hashes again what a node holds; what has rotted is healed from others, or not shared any more."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import msgspec

from node import standing
from node.fetches import Fetches
from node.hash_progress import HashProgress
from node.hashing import verified_chunks
from node.home import Home
from node.rules import DAMAGED
from node.whole import GoneError, Whole
from protocol.control import Examined, Verified, VerifyOrder, Working
from protocol.errors import ExitCode, OperatorError
from protocol.messages import MAX_TEXT_CHARACTERS
from protocol.names import display

OnProgress = Callable[[Working], None]

PAGE_THINGS = 1000  # In one report, which has a limit of 4096.
LOOKS = 3  # At something that keeps changing.


class Verifying:
    """Carries out orders to verify, each in its caller's thread."""

    def __init__(self, home: Home, fetches: Fetches, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed."""
        self._home = home
        self._fetches = fetches
        self._announce = announce
        self._guard = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._stop_code: ExitCode | None = None

    def verify(self, order: VerifyOrder, on_progress: OnProgress) -> Verified:
        """Hash again what is held, heal what has rotted, and withdraw what cannot be healed.

        Raises:
            OperatorError: it is not here, or was to stop.
        """
        with self._run(order.what or "") as running:
            changed = self._changed(order.what)
            if changed is not None:
                return Verified((self._put_back(changed, running, on_progress),))
            try:
                things = self._meant(order)
            finally:
                running.check()  # What was not looked at may be missing.
            page = things[:PAGE_THINGS]
            found = [self._examine(thing, running, on_progress) for thing in page]
            is_all = len(things) == len(page)
            examined = tuple(one for one in found if one is not None)
            others = self._changed_copies() if is_all and order.what is None else ()
            return Verified((*examined, *others), None if is_all else page[-1].name)

    def cancel(self, what: str | None, exit_code: ExitCode) -> None:
        """Stop the verification of `what`."""
        with self._guard:
            running = self._running.get(what or "")
        if running is not None:
            self._stop(running, exit_code)

    def cancel_all(self, exit_code: ExitCode) -> None:
        """Stop all, and those that would begin later. For signal handlers too."""
        self._stop_code = exit_code
        for running in list(self._running.values()):
            self._stop(running, exit_code)

    def _stop(self, running: "_Running", exit_code: ExitCode) -> None:
        running.stop_code = exit_code
        if running.healing is not None:
            self._fetches.cancel(running.healing, exit_code)

    @contextlib.contextmanager
    def _run(self, what: str) -> "Iterator[_Running]":
        running = _Running(self._stop_code)
        with self._guard:
            if what in self._running:
                name = display(what or self._home.identity.name)
                raise OperatorError(f"{name} is being verified already; wait for it")
            self._running[what] = running
        try:
            yield running
        finally:
            with self._guard:
                del self._running[what]

    def _meant(self, order: VerifyOrder) -> list[Whole]:
        if order.what is not None:
            return [standing.held(self._home, order.what)]
        if not order.after:
            self._home.watcher.look_through()
        things = (thing for thing in self._home.inventory.wholes() if thing.name > order.after)
        return sorted(things, key=lambda thing: thing.name)

    def _changed(self, name: str | None) -> Whole | None:
        """Return the copy of that name as it is, if it has changed since it was fetched."""
        if name is None or self._home.watcher.look_at(name) is not None:
            return None
        withheld = self._home.register.withheld(name)
        is_copy = withheld is not None and withheld.is_copy
        return self._home.watcher.examine(name) if is_copy else None

    def _changed_copies(self) -> Iterator[Examined]:
        """Yield the copies that have changed. They are left alone: each may be somebody's work."""
        for found in self._home.register.all_withheld():
            if found.is_copy:
                trouble = found.reason(self._home.identity.name)
                yield Examined(found.name, found.id, 0, 0, trouble=trouble, changed=True)

    def _put_back(self, copy: Whole, running: "_Running", on_progress: OnProgress) -> Examined:
        """Fetch what was fetched before in place of a copy that has changed since."""
        title = self._home.register.title(copy.name)
        assert title is not None
        found = Examined(copy.name, title.id, copy.chunk_count, 0, changed=True)
        rules = self._home.rules
        rule = rules.of(copy.name)
        rules.set(copy.name, msgspec.structs.replace(rule, withheld=DAMAGED))
        running.healing = title.id
        try:
            fetched_bytes = self._fetches.heal(copy, on_progress, title).fetched_bytes
        except OperatorError as error:
            running.check()
            return msgspec.structs.replace(found, trouble=_trouble(error))
        finally:
            running.healing = None
            rules.set(copy.name, rule)
        now = self._home.watcher.look_at(copy.name)
        self._announce()
        if now is None or now.id != title.id:
            return msgspec.structs.replace(
                found, trouble="something else lies in it, or changes it"
            )
        known = {copy.manifest.digest(index) for index in range(copy.chunk_count)}
        digests = map(now.manifest.digest, range(now.chunk_count))
        return Examined(
            copy.name,
            title.id,
            now.chunk_count,
            sum(digest not in known for digest in digests),
            healed=True,
            fetched_bytes=fetched_bytes,
            changed=True,
        )

    def _examine(
        self, thing: Whole, running: "_Running", on_progress: OnProgress
    ) -> Examined | None:
        """Return how it is; None if it is gone, or keeps changing: then it is not rotten."""
        for _ in range(LOOKS):
            running.check()
            found = _hashed(thing, running, on_progress)
            if not found.damaged:
                return found
            current = self._home.watcher.look_at(thing.name)
            if current is None:
                return None
            if current.signature == thing.signature:
                return self._heal(thing, found, running, on_progress)
            thing = current  # It was changed on purpose: there is a time to tell it by.
        return None

    def _heal(
        self, thing: Whole, found: Examined, running: "_Running", on_progress: OnProgress
    ) -> Examined:
        home, rule = self._home, self._home.rules.of(thing.name)
        home.rules.set(thing.name, msgspec.structs.replace(rule, withheld=DAMAGED))
        home.watcher.look_at(thing.name)  # It sees that, and withdraws it.
        home.cache.forget(thing.name)
        self._announce()
        running.healing = thing.id
        try:
            fetched_bytes = self._fetches.heal(thing, on_progress).fetched_bytes
        except OperatorError as error:
            running.check()
            return msgspec.structs.replace(found, trouble=_trouble(error))
        finally:
            running.healing = None
        home.rules.set(thing.name, rule)
        now = home.watcher.look_at(thing.name)
        self._announce()
        is_right = now is not None and now.id == thing.id
        return msgspec.structs.replace(found, healed=is_right, fetched_bytes=fetched_bytes)


class _Running:
    """A verification, from the order to its end."""

    def __init__(self, stop_code: ExitCode | None) -> None:
        self.stop_code = stop_code
        self.healing: str | None = None  # The id of what is being fetched for it.

    def check(self) -> None:
        """Raise OperatorError if it was to stop."""
        if self.stop_code is not None:
            raise OperatorError("interrupted; run it again to verify all of it", self.stop_code)


def _trouble(error: OperatorError) -> str:
    """Return why something could not be healed."""
    is_alone = error.exit_code is ExitCode.NOT_FOUND
    return "nobody else has it" if is_alone else str(error)[:MAX_TEXT_CHARACTERS]


def _hashed(thing: Whole, running: _Running, on_progress: OnProgress) -> Examined:
    progress = HashProgress()
    progress.begin(
        [thing.source], lambda done, total: on_progress(Working(thing.name, done, total, None))
    )

    def read(index: int) -> bytes:
        running.check()
        try:
            return thing.read(index)
        except GoneError:
            return b""
        finally:
            progress.hashed(thing.manifest.chunk_size(index))

    right = verified_chunks(read, thing.manifest, list(range(thing.chunk_count)))
    damaged = thing.chunk_count - right.bit_count()
    return Examined(thing.name, thing.id, thing.chunk_count, damaged)

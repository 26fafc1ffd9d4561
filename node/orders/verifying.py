"""Hashes again what a node holds, and has healed or withdrawn what is damaged."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
from shoal.node.files.signature import GoneError
from shoal.node.folder.hashing import HashProgress, verified_chunks
from shoal.node.folder.whole import Whole
from shoal.node.network.stop import Stop
from shoal.node.orders import standing
from shoal.node.orders.fetches import Fetches
from shoal.node.orders.healing import (
    STALLED_ALONE_S,
    ChangedError,
    Effort,
    Healing,
    examined,
)
from shoal.node.orders.home import Home
from shoal.node.orders.jobs import Caller, Jobs, OnProgress, TakenError, Work
from shoal.protocol import bitmap
from shoal.protocol.control import Examined, Verified, VerifyOrder, Working
from shoal.protocol.errors import Kind, OperatorError
from shoal.protocol.names import display

PAGE_THINGS = 1000  # In one report, which has a limit of 4096.
LOOKS = 3  # At something that keeps changing.

T = TypeVar("T")


class Verifying:
    """Carries out orders to verify, and heals what the node itself found damaged."""

    def __init__(
        self, home: Home, jobs: Jobs, fetches: Fetches, announce: Callable[[], bool]
    ) -> None:
        """`announce` has the tracker told of what changed."""
        self._home = home
        self._jobs = jobs
        self._healing = Healing(home, fetches, announce)
        settings = msgspec.structs.replace(home.identity.fetching, shares_already=True)
        self._settings = settings
        self._settings_alone = msgspec.structs.replace(settings, stalled_s=STALLED_ALONE_S)

    def verify(self, order: VerifyOrder, on_progress: OnProgress) -> Verified:
        """Hash again what is held, heal what is damaged, and withdraw what cannot be healed.

        Raises:
            OperatorError: it is not here, or was stopped.
        """

        def work(stop: Stop, on_progress: OnProgress) -> Verified:
            return self._verify(order, Effort(stop, on_progress, self._settings))

        return self._alone_with(order.what or "", Caller(order, on_progress), work)

    def heal(self, thing: Whole, wrong: int) -> Examined | None:
        """Withdraw a thing of which some chunks were found `wrong`, and heal it.

        Returns how it is; None if it is gone, or was changed on purpose.

        Raises:
            OperatorError: it is being verified, or was stopped.
        """

        def work(stop: Stop, on_progress: OnProgress) -> Examined | None:
            return self._heal(thing, wrong, Effort(stop, on_progress, self._settings_alone))

        return self._alone_with(thing.name, _nobody(), work)

    def heal_again(self, name: str) -> Examined | None:
        """Try once more to heal what was withdrawn; None if it has been changed since.

        Raises:
            OperatorError: it is being verified, or was stopped.
        """

        def work(stop: Stop, on_progress: OnProgress) -> Examined | None:
            try:
                effort = Effort(stop, on_progress, self._settings_alone)
                return self._healing.heal_withheld(name, effort)
            except ChangedError:
                return None
            finally:
                self._healing.forget_damaged(name)

        return self._alone_with(name, _nobody(), work)

    def _alone_with(self, name: str, caller: Caller, work: Work[T]) -> T:
        """Have something done with what has that name; if there is none, with everything."""
        try:
            return self._jobs.run(("verify", name), caller, work, _stopped)
        except TakenError:
            shown = display(name or self._home.identity.name)
            raise OperatorError(f"{shown} is being verified already; wait for it") from None

    def _verify(self, order: VerifyOrder, effort: Effort) -> Verified:
        if order.what and self._has_changed(order.what):
            return Verified((self._healing.put_back(order.what, effort),))
        if order.what and self._home.rules.of(order.what).to_heal is not None:
            return Verified((self._healing.heal_withheld(order.what, effort),))
        try:
            things = self._meant(order)
        finally:
            effort.stop.check()  # What was not looked at may be missing.
        page = things[:PAGE_THINGS]
        found = [self._examine(thing, effort) for thing in page]
        is_all = len(things) == len(page)
        there = tuple(one for one in found if one is not None)
        changed = self._changed_copies() if is_all and order.what is None else ()
        return Verified((*there, *changed), None if is_all else page[-1].name)

    def _heal(self, thing: Whole, wrong: int, effort: Effort) -> Examined | None:
        current = self._home.watcher.look_at(thing.name)
        if current is None or current.signature != thing.signature:
            return None
        # At once: to hash all of it may take long.
        part = self._healing.withdraw(thing, bitmap.full(thing.chunk_count) & ~wrong)
        is_to_stay = False
        try:
            part.have = _right_chunks(thing, effort) & ~wrong
            found = self._healing.replace(thing, examined(thing, part.have), effort)
            # Until the next try: another one whose copy has just been found damaged, in another
            # place, may not have come across what is left of this one yet.
            is_to_stay = not found.healed
            return found
        finally:
            if not is_to_stay:
                self._healing.forget_damaged(thing.name)

    def _meant(self, order: VerifyOrder) -> list[Whole]:
        if order.what is not None:
            return [standing.held(self._home, order.what)]
        if not order.after:
            self._home.watcher.look_through()
            self._home.watcher.wait_for_large()
        things = (thing for thing in self._home.inventory.wholes() if thing.name > order.after)
        return sorted(things, key=lambda thing: thing.name)

    def _has_changed(self, name: str) -> bool:
        """Return whether it is a copy that has changed since it was fetched."""
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

    def _examine(self, thing: Whole, effort: Effort) -> Examined | None:
        """Return how it is; None if it is gone, or keeps changing: then that is no damage."""
        for _ in range(LOOKS):
            effort.stop.check()
            right = _right_chunks(thing, effort)
            if right == bitmap.full(thing.chunk_count):
                return examined(thing, right)
            current = self._home.watcher.look_at(thing.name)
            if current is None:
                return None
            if current.signature == thing.signature:
                return self._healing.heal(thing, right, effort)
            thing = current  # It was changed on purpose, as its time shows.
        return None


def _right_chunks(thing: Whole, effort: Effort) -> int:
    """Hash all of a thing; return the chunks that are as they should be (protocol.bitmap)."""
    progress = HashProgress()
    progress.begin(
        [thing.source],
        lambda done, total: effort.on_progress(Working(thing.name, done, total, None)),
    )

    def read(index: int) -> bytes:
        effort.stop.check()
        try:
            return thing.read(index)
        except GoneError:
            return b""
        finally:
            progress.hashed(thing.manifest.chunk_size(index))

    return verified_chunks(read, thing.manifest, list(range(thing.chunk_count)))


def _nobody() -> Caller:
    """Return the caller of what no order asked for."""
    return Caller(None, lambda _: None)


def _stopped(kind: Kind) -> OperatorError:
    return kind("interrupted; run it again to verify all of it")

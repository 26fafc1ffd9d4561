"""What a node does with what it holds: shares it, forgets it, verifies and heals it."""

import os
from collections.abc import Callable

import msgspec

from node.fetches import Fetches
from node.hashing import verified_chunks
from node.home import Home
from node.placing import remove
from node.rules import DAMAGED, FORGOTTEN, NO_RULE, Rule
from node.versions import matches
from node.whole import GoneError, Whole
from protocol.control import (
    Examined,
    ForgetOrder,
    Forgotten,
    ShareOrder,
    Sharing,
    Verified,
    VerifyOrder,
    Working,
)
from protocol.errors import ExitCode, OperatorError
from protocol.names import display

OnProgress = Callable[[Working], None]


class Upkeep:
    """Carries out orders, each in its caller's thread."""

    def __init__(self, home: Home, fetches: Fetches, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed, and says whether it knows."""
        self._home = home
        self._fetches = fetches
        self._announce = announce

    def share(self, order: ShareOrder, on_progress: OnProgress) -> Sharing:
        """Hash and announce what lies in the folder under a name.

        Raises:
            OperatorError: it is not there.
        """
        name, home = order.name, self._home
        rule = home.rules.of(name)
        chunking = order.chunking or rule.chunking
        home.rules.set(name, Rule("", order.include, order.exclude, chunking))
        if chunking != rule.chunking:
            home.inventory.remove(name)
            home.cache.forget(name)

        def on_hashed(done_bytes: int, size_bytes: int) -> None:
            on_progress(Working(name, done_bytes, size_bytes, 0))

        thing = home.watcher.look_at(name, on_hashed)
        if thing is None:
            home.rules.set(name, rule)
            message = f"{display(name)} is not in {home.identity.folder}, or keeps changing"
            raise OperatorError(f"{message}; put it there and run it again", ExitCode.DISK)
        return Sharing(thing.name, thing.id, thing.size_bytes, announced=self._announce())

    def forget(self, order: ForgetOrder) -> Forgotten:
        """Stop sharing a thing; delete it if that is wanted.

        Raises:
            OperatorError: it is not here.
        """
        thing = self._held(order.what)
        name, home = thing.name, self._home
        if order.delete:
            home.inventory.remove(name)
            self._delete(name)
            home.rules.set(name, NO_RULE)
        else:
            rule = msgspec.structs.replace(home.rules.of(name), withheld=FORGOTTEN)
            home.rules.set(name, rule)
            home.inventory.remove(name)
        self._announce()
        return Forgotten(name, thing.id, deleted=order.delete)

    def verify(self, order: VerifyOrder, on_progress: OnProgress) -> Verified:
        """Hash again what is held, heal what has rotted, and withdraw what cannot be healed.

        Raises:
            OperatorError: it is not here.
        """
        if order.what is not None:
            things = [self._held(order.what)]
        else:
            self._home.watcher.look_through()
            things = sorted(self._home.inventory.wholes(), key=lambda thing: thing.name)
        return Verified(tuple(self._examine(thing, on_progress) for thing in things))

    def _held(self, what: str) -> Whole:
        """Return the one thing that is meant; the whole folder is looked at if need be."""
        watcher = self._home.watcher
        watcher.look_at(what)  # This is quick, if it is a name.
        thing = self._find(what)
        if thing is None:
            watcher.look_through()
            thing = self._find(what)
        if thing is not None:
            return thing
        message = f"{self._home.identity.name} holds no {display(what)}"
        raise OperatorError(f"{message}; `shoal ls` shows who holds what", ExitCode.NOT_FOUND)

    def _find(self, what: str) -> Whole | None:
        wholes = self._home.inventory.wholes()
        return next((thing for thing in wholes if matches(thing.id, what, thing.name)), None)

    def _delete(self, name: str) -> None:
        folder = self._home.identity.folder
        aside = folder / ".shoal" / f"deleted-{os.getpid()}"
        try:
            (folder / name).rename(aside)
        except OSError as error:
            message = f"cannot delete {display(name)} in {folder}: {error.strerror}"
            raise OperatorError(f"{message}; check its permissions", ExitCode.DISK) from None
        remove(aside)

    def _examine(self, thing: Whole, on_progress: OnProgress) -> Examined:
        done_bytes = 0

        def read(index: int) -> bytes:
            nonlocal done_bytes
            try:
                return thing.read(index)
            except GoneError:
                return b""
            finally:
                done_bytes += thing.manifest.chunk_size(index)
                on_progress(Working(thing.name, done_bytes, thing.manifest.stream_bytes, 0))

        right = verified_chunks(read, thing.manifest, list(range(thing.chunk_count)))
        damaged = thing.chunk_count - right.bit_count()
        found = Examined(thing.name, thing.id, thing.chunk_count, damaged)
        return self._heal(thing, found, on_progress) if damaged else found

    def _heal(self, thing: Whole, found: Examined, on_progress: OnProgress) -> Examined:
        home, rule = self._home, self._home.rules.of(thing.name)
        home.rules.set(thing.name, msgspec.structs.replace(rule, withheld=DAMAGED))
        home.inventory.remove(thing.name)
        home.cache.forget(thing.name)
        self._announce()
        try:
            self._fetches.heal(thing, on_progress)
        except OperatorError as error:
            return msgspec.structs.replace(found, trouble=str(error))
        self._announce()
        return msgspec.structs.replace(found, healed=True)

"""Stops sharing a thing, and deletes it if that is wanted."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.node.files.directories import opened, others
from shoal.node.files.placing import InTheWayError, MayGo, remove, take_out
from shoal.node.folder import leftovers
from shoal.node.folder.rules import FORGOTTEN, NO_RULE
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.node.orders import standing
from shoal.node.orders.home import Home
from shoal.node.staging.spare import Seen
from shoal.protocol.control import ForgetOrder, Forgotten
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.names import display


class Forgetting:
    """Carries out orders to forget, each in its caller's thread."""

    def __init__(self, home: Home, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed."""
        self._home = home
        self._announce = announce

    def forget(self, order: ForgetOrder) -> Forgotten:
        """Stop sharing a thing; delete it if that is wanted.

        Raises:
            OperatorError: it is not here.
        """
        home = self._home
        name, thing = self._meant(order.what)
        place = home.identity.place(name)
        may_go = _as_seen(thing, place)
        if order.delete and home.identity.read_only and not place.is_symlink():
            message = f"cannot delete {display(name)}: {display(str(place.parent))} is read-only"
            raise DiskError(f"{message}; leave --delete out")
        rule = home.rules.of(name)
        if not rule.withheld or not order.delete:
            forgotten = msgspec.structs.replace(rule, withheld=FORGOTTEN)
            if order.delete:
                home.rules.set_or_hold(name, forgotten)  # On a full disk, deleting makes room.
            else:
                home.rules.set(name, forgotten)
        home.watcher.look_at(name)  # It notices, and takes it out of the inventory.
        home.inventory.remove_damaged(name)
        if order.delete:
            self._delete(name, may_go)
            home.rules.set_or_hold(name, NO_RULE)
        self._announce()
        return Forgotten(name, thing.id if thing is not None else None, deleted=order.delete)

    def _meant(self, what: str) -> tuple[str, Whole | None]:
        """Return the name of the thing, and the thing itself if it is shared."""
        path, register = self._home.identity.place(what), self._home.register
        is_withheld = self._home.rules.of(what).withheld or register.withheld(what) is not None
        is_hashed = self._home.watcher.hashing(what) is not None  # Not worth waiting for.
        if (is_withheld or is_hashed) and os.path.lexists(path):
            return what, None
        thing = standing.held(self._home, what)
        return thing.name, thing

    def _delete(self, name: str, may_go: MayGo) -> None:
        folder = self._home.identity.writable
        try:
            aside = leftovers.deleted(folder)
            try:
                with opened(folder.resolve()) as directory:
                    take_out(directory, name, os.fsencode(aside), may_go)
                    os.fsync(directory)  # Before its rule goes, or it may come back.
            finally:
                remove(aside)
        except InTheWayError:
            message = f"{display(name)} in {folder} has just changed, so it was not deleted"
            raise OperatorError(f"{message}; check it and run it again") from None
        except OSError as error:
            message = f"cannot delete {display(name)} in {folder}: {error.strerror}"
            raise DiskError(f"{message}; check its permissions and the disk") from None


def _as_seen(thing: Whole | None, place: Path) -> MayGo:
    """Return a function that says whether `place` still has the thing and what was beside it.

    Without a thing, which is not shared then, the name alone is meant.
    """
    if thing is None or place.is_symlink():  # Of a link, only the link itself is deleted.
        return lambda _: True
    beside: frozenset[bytes] = frozenset()
    if isinstance(thing.source, Tree):
        shared = {path.encode() for path, *_ in thing.source.entries()}
        beside = frozenset(others(os.fsencode(place), shared))
    return functools.partial(Seen.of(thing.source).is_all_of, b"", beside=beside)

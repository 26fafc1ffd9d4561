"""What a node does with what lies in its folder: shares it, forgets it, deletes it."""

import functools
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from shoal.node.files.directories import opened
from shoal.node.files.others import others
from shoal.node.files.placing import InTheWayError, MayGo, remove, take_out
from shoal.node.folder import leftovers
from shoal.node.folder.rules import FORGOTTEN, NO_RULE, Rule
from shoal.node.folder.spare import Seen
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.node.orders import questions, standing
from shoal.node.orders.home import Home
from shoal.node.trees.left_out import LeftOut
from shoal.protocol.control import ForgetOrder, Forgotten, ShareOrder, Sharing, Working
from shoal.protocol.errors import DiskError, OperatorError
from shoal.protocol.names import display
from shoal.protocol.titles import Published

log = logging.getLogger("shoal.node")

MOST_CLAIMS = 3
OnProgress = Callable[[Working], None]


class Upkeep:
    """Carries out orders, each in its caller's thread."""

    def __init__(self, home: Home, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed, and says whether it knows."""
        self._home = home
        self._announce = announce

    def share(self, order: ShareOrder, on_progress: OnProgress) -> Sharing:
        """Hash and announce what lies in the folder under a name.

        Raises:
            OperatorError: it is not there, or is not to be shared under that name.
        """
        name, home = order.name, self._home
        rule = home.rules.of(name)
        chunking = order.chunking or rule.chunking
        parts = order.include, order.exclude
        home.rules.set(name, Rule("", *parts, chunking, follow_links=order.follow_links))
        if chunking != rule.chunking:
            home.inventory.remove(name)
            home.cache.forget(name)

        def on_hashed(done_bytes: int, size_bytes: int) -> None:
            on_progress(Working(name, done_bytes, size_bytes or None, None))

        try:
            thing = home.watcher.look_at(name, on_hashed, over=self._newest(order))
        except BaseException:
            home.rules.set(name, rule)
            raise
        withheld = home.register.withheld(name)
        if thing is None and withheld is None:
            home.rules.set(name, rule)
            raise self._not_shared(name)
        announced = thing is not None and self._announce()
        for _ in range(MOST_CLAIMS):  # Others may publish the same number just now.
            withheld = home.register.withheld(name)
            if withheld is None or not order.force:
                break
            thing = home.watcher.look_at(name, over=(withheld.version, None))
            announced = self._announce()
        return _sharing(self._accepted(name, thing), announced=announced)

    def _accepted(self, name: str, thing: Whole | None) -> Whole:
        """Return what is shared under a name now.

        Raises:
            OperatorError: others have published something else, or it keeps changing.
        """
        withheld = self._home.register.withheld(name)
        if withheld is None and thing is not None:
            return thing
        reason = (
            withheld.reason(self._home.identity.name)
            if withheld is not None
            else f"{display(name)} keeps changing; run it again when nobody writes to it"
        )
        raise OperatorError(f"not shared: {reason}")

    def _not_shared(self, name: str) -> OperatorError:
        """Return why what was to be shared under a name is not."""
        folder, reason = self._home.identity.folder, self._home.watcher.why_not(name)
        if reason is None:
            message = f"{display(name)} is not in {folder}, or keeps changing"
            return DiskError(f"{message}; put it there and run it again")
        message = f"cannot share {display(name)} in {folder}: {reason}"
        return DiskError(f"{message}; change that and run it again")

    def _newest(self, order: ShareOrder) -> Published | None:
        """Return what is to be published over, if that is wanted and the tracker answers."""
        if not order.force:
            return None
        try:
            answer = questions.ask(self._home, lambda: None, order.name)
        except OperatorError:
            answer = None  # Then it is published as far as that is known here.
        return questions.newest(answer) if answer is not None else (0, None)

    def forget(self, order: ForgetOrder) -> Forgotten:
        """Stop sharing a thing; delete it if that is wanted.

        Raises:
            OperatorError: it is not here.
        """
        home = self._home
        name, thing = self._meant(order.what)
        may_go = _as_seen(thing, home.identity.folder / name)
        rule = home.rules.of(name)
        if not rule.withheld or not order.delete:
            forgotten = msgspec.structs.replace(rule, withheld=FORGOTTEN)
            if order.delete:
                self._set_or_hold(name, forgotten)
            else:
                home.rules.set(name, forgotten)
        home.watcher.look_at(name)  # It sees that, and takes it out of the inventory.
        if order.delete:
            self._delete(name, may_go)
            self._set_or_hold(name, NO_RULE)
        self._announce()
        return Forgotten(name, thing.id if thing is not None else None, deleted=order.delete)

    def _meant(self, what: str) -> tuple[str, Whole | None]:
        """Return the name of what is here, and the thing itself if it is shared."""
        path, register = self._home.identity.folder / what, self._home.register
        is_withheld = self._home.rules.of(what).withheld or register.withheld(what) is not None
        is_hashed = self._home.watcher.hashing(what) is not None  # Which is not worth waiting for.
        if (is_withheld or is_hashed) and os.path.lexists(path):
            return what, None
        thing = standing.held(self._home, what)
        return thing.name, thing

    def _set_or_hold(self, name: str, rule: Rule) -> None:
        """Have a rule hold, only in this process on a full disk: what is deleted makes room."""
        try:
            self._home.rules.set(name, rule)
        except OperatorError as error:
            log.warning("%s", error)
            self._home.rules.hold(name, rule)

    def _delete(self, name: str, may_go: MayGo) -> None:
        folder = self._home.identity.folder
        try:
            aside = leftovers.deleted(folder)
            try:
                with opened(folder.resolve()) as directory:
                    take_out(directory, name, os.fsencode(aside), may_go)
            finally:
                remove(aside)
        except InTheWayError:
            message = f"{display(name)} in {folder} has just changed, so it was not deleted"
            raise OperatorError(f"{message}; look at it, and run it again") from None
        except OSError as error:
            message = f"cannot delete {display(name)} in {folder}: {error.strerror}"
            raise DiskError(f"{message}; check its permissions") from None


def _sharing(thing: Whole, *, announced: bool) -> Sharing:
    left_out = thing.source.left_out if isinstance(thing.source, Tree) else LeftOut()
    return Sharing(
        thing.name,
        thing.id,
        thing.size_bytes,
        announced,
        thing.title.version,
        thing.title.publisher,
        left_out.told(),
        left_out.count,
    )


def _as_seen(thing: Whole | None, place: Path) -> MayGo:
    """Return what says whether that which is at `place` now is still it, with all beside it.

    None: it is not shared, and so it is the name alone that was meant.
    """
    if thing is None or place.is_symlink():  # Of a link nothing but itself goes.
        return lambda _: True
    beside: frozenset[bytes] = frozenset()
    if isinstance(thing.source, Tree):
        shared = {path.encode() for path, *_ in thing.source.entries()}
        beside = frozenset(others(os.fsencode(place), shared))
    return functools.partial(Seen.of(thing.source).is_all_of, b"", beside=beside)

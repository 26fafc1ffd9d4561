"""Heals damaged things: withdraws them, serves their intact chunks, fetches the others.

Does not look for damage.
"""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from shoal.node.fetching.settings import FetchSettings
from shoal.node.folder.rules import DAMAGED, Damage
from shoal.node.folder.whole import Whole
from shoal.node.network.stop import Stop
from shoal.node.orders.fetches import Fetches
from shoal.node.orders.home import Home
from shoal.node.orders.jobs import OnProgress
from shoal.node.staging.partial import PartialFile
from shoal.protocol.control import Examined
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.fields import MAX_TEXT_CHARACTERS
from shoal.protocol.names import display
from shoal.protocol.titles import Title

# By the node itself, unasked: two that only wait for each other's bytes soon give up.
STALLED_ALONE_S = 8.0


class ChangedError(OperatorError):
    """What was damaged is not what it was then: somebody has dealt with it."""


class Effort(NamedTuple):
    """How something is healed: until it is stopped, and how patiently."""

    stop: Stop
    on_progress: OnProgress
    settings: FetchSettings


class Healing:
    """Heals things, each in its caller's thread."""

    def __init__(self, home: Home, fetches: Fetches, announce: Callable[[], bool]) -> None:
        """`announce` has the tracker told of what changed."""
        self._home = home
        self._fetches = fetches
        self._announce = announce

    def withdraw(self, thing: Whole, right: int) -> PartialFile:
        """Serve only the `right` chunks (protocol.bitmap) of a thing from now on.

        Returns what is served, unless there is a fetch that heals it: then that is served.
        """
        home, name = self._home, thing.name
        part = PartialFile(name, thing)
        part.have = right
        home.inventory.put_damaged(part)
        found = examined(thing, right)
        damage = Damage(thing.id, thing.signature.text, found.chunks, found.damaged)
        rule = msgspec.structs.replace(home.rules.of(name), withheld=DAMAGED, damage=damage)
        home.rules.set(name, rule)
        home.watcher.look_at(name)  # It notices, and takes the whole thing out.
        home.cache.forget(name)
        self._announce()
        return part

    def heal(self, thing: Whole, right: int, effort: Effort) -> Examined:
        """Withdraw a thing of which only some chunks are `right`; heal it if others can help."""
        self.withdraw(thing, right)
        try:
            return self.replace(thing, examined(thing, right), effort)
        finally:
            self.forget_damaged(thing.name)

    def forget_damaged(self, name: str) -> None:
        """Stop serving what is left of a damaged thing."""
        if self._home.inventory.remove_damaged(name):
            self._announce()

    def heal_withheld(self, name: str, effort: Effort) -> Examined:
        """Heal what was withdrawn earlier, perhaps by another process.

        Raises:
            ChangedError: it is no longer as it was then.
            OperatorError: it was to stop.
        """
        damage = self._home.rules.of(name).to_heal
        assert damage is not None
        thing = self._home.watcher.examine(name)
        if thing is None or thing.signature.text != damage.seen:
            shown = display(name)
            message = f"{shown} was damaged, and has since been changed or removed"
            raise ChangedError(f"{message}; `shoal share {shown}` shares it as it is now")
        found = Examined(name, damage.id, damage.chunks, damage.damaged)
        return self.replace(thing, found, effort)

    def put_back(self, name: str, effort: Effort) -> Examined:
        """Fetch again what a copy was before it was changed, and put it back.

        Raises:
            OperatorError: it was to stop, or has gone.
        """
        home, title = self._home, self._home.register.title(name)
        copy = home.watcher.examine(name)
        if copy is None or title is None:
            raise OperatorError(f"{display(name)} is gone, or keeps changing; run it again")
        effort.stop.check()
        rule = home.rules.of(name)
        damage = Damage(title.id, copy.signature.text, copy.chunk_count, 0)
        # Until it is back. After a kill it is healed like anything else that was withdrawn.
        home.rules.set(name, msgspec.structs.replace(rule, withheld=DAMAGED, damage=damage))
        try:
            found = Examined(name, title.id, copy.chunk_count, 0, changed=True)
            return self.replace(copy, found, effort)
        finally:
            if home.rules.of(name).to_heal == damage:
                home.rules.set(name, rule)

    def replace(self, thing: Whole, found: Examined, effort: Effort) -> Examined:
        """Fetch what `found` names, and put it where the withdrawn `thing` is."""
        home, name = self._home, thing.name
        title = home.register.title(name)
        title = title if title and title.id == found.id else Title(found.id)
        stop, on_progress, settings = effort
        place = home.identity.place(name)
        if place.is_symlink():  # What it leads to is somebody's own, and only read.
            target = display(str(place.readlink()))
            return msgspec.structs.replace(found, trouble=f"it is a link; restore {target}")
        if home.identity.read_only:
            return msgspec.structs.replace(found, trouble=f"it is read-only; restore {place}")
        try:
            stop.check()
            fetched = self._fetches.heal(thing, title, settings, stop, on_progress)
        except OperatorError as error:
            stop.check()
            return msgspec.structs.replace(found, trouble=_trouble(error))
        rule = home.rules.of(name)
        if rule.to_heal is not None:  # Not if its user has forgotten it meanwhile.
            home.rules.set(name, msgspec.structs.replace(rule, withheld="", damage=None))
        now = home.watcher.look_at(name)
        self._announce()
        is_right = now is not None and now.id == found.id
        return msgspec.structs.replace(
            found,
            healed=is_right,
            fetched_bytes=fetched.fetched_bytes,
            trouble="" if is_right else "something in it is not part of it, or keeps changing",
        )


def _trouble(error: OperatorError) -> str:
    """Return why something could not be healed, as a phrase."""
    is_alone = isinstance(error, NotFoundError)
    return "no other node has a good copy" if is_alone else str(error)[:MAX_TEXT_CHARACTERS]


def examined(thing: Whole, right: int) -> Examined:
    """Return what to say of a thing of which only some chunks are `right`."""
    damaged = thing.chunk_count - right.bit_count()
    return Examined(thing.name, thing.id, thing.chunk_count, damaged)

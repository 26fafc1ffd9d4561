"""What a node's folder has under a name, and whether a fetch may replace it.

Replaces nothing.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from shoal.node.fetching.versions import Meant, is_exactly, matches, named_in, names_content
from shoal.node.files.directories import others
from shoal.node.folder.rules import FORGOTTEN, REPLACING
from shoal.node.folder.tree import Tree
from shoal.node.folder.whole import Whole
from shoal.node.orders.home import Home
from shoal.node.trees.selection import Selection
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import is_id
from shoal.protocol.names import display

ID_DIGITS = 64  # Of a whole id.

HasIt = Callable[[Whole], bool]  # Whether another node holds all of it right now.


class Looking(NamedTuple):
    """How to look at it."""

    others_have: HasIt
    on_hashed: Callable[[int, int], None] | None = None  # As `node.watcher` calls it.
    force: bool = False


class Standing(msgspec.Struct, frozen=True):
    """What was found; nothing, by default."""

    thing: Whole | None = None
    is_meant: bool = False  # It need not be fetched.
    withheld: str = ""  # Why it is not shared (node.rules), if it is not.

    @property
    def may_go(self) -> bool:
        """Return whether it may be replaced, whatever is in it."""
        return self.thing is not None or self.withheld == REPLACING


def here(home: Home, what: str) -> Whole | None:
    """Return the whole thing that `what` names by its id: then the tracker need not be asked."""
    wholes = home.inventory.wholes()
    known = next((thing for thing in wholes if is_exactly(thing.id, what, thing.name)), None)
    name = known.name if known is not None else named_in(what, ID_DIGITS)
    if name is None or home.watcher.hashing(name) is not None:
        return None
    found = home.watcher.look_at(name)
    return found if found is not None and is_exactly(found.id, what, found.name) else None


def newest_here(home: Home, what: str) -> tuple[Whole, str]:
    """Return the thing here that `what` means, as far as this node knows, and the path inside it.

    Raises:
        OperatorError: there is none.
    """
    tree, _, inside = what.partition("/")
    found = None
    for name, path in ((what, ""), (named_in(what) or what, ""), (tree, inside)):
        found = found or _meant_here(home, what if not path else name, name)
        if found is not None:
            return found, path
    if names_content(what):
        return held(home, what), ""
    message = f"{home.identity.name} shares no {display(what)}"
    raise NotFoundError(f"{message}; run it without --offline to fetch it")


def _meant_here(home: Home, what: str, name: str) -> Whole | None:
    found = home.watcher.look_at(name)
    return found if found is not None and matches(found.id, what, name) else None


def look(home: Home, meant: Meant, selection: Selection, looking: Looking) -> Standing:
    """Return what is there.

    Raises:
        OperatorError: it must not be replaced: it may be the only copy.
    """
    if meant.answer is None:
        return _of_nobody_else(home, meant.what, looking)
    name = meant.name or meant.answer.name
    rule = home.rules.of(name)
    if rule.withheld not in {"", FORGOTTEN}:
        return Standing(withheld=rule.withheld)
    # Not `look_at`: what is refused below must not be announced either.
    thing = home.watcher.examine(name, looking.on_hashed)
    if thing is None:
        _refuse_what_cannot_be_read(home, name, force=looking.force)
        return Standing()
    if is_what_is_meant(home, thing, meant):
        if rule.withheld:
            home.rules.set(name, msgspec.structs.replace(rule, withheld=""))
        if meant.title.version and meant.title.id == thing.id:
            home.register.note(name, meant.title)
        return Standing(home.watcher.look_at(name) or thing, is_meant=True)
    _refuse_to_replace(home, thing, meant, selection, looking)
    return Standing(thing)


def _of_nobody_else(home: Home, what: str, looking: Looking) -> Standing:
    """Return what is there of something that no other node has.

    A holder that asks for it is taken off the list. So before an id counts as not here, the folder
    has been read.
    """
    known = home.inventory.find(what)
    if known is None and is_id(what):
        home.watcher.look_at_first()
        known = home.inventory.find(what)
    name = known.name if isinstance(known, Whole) else what
    is_here = isinstance(known, Whole) or home.watcher.hashing(name) is not None
    found = home.watcher.look_at(name, looking.on_hashed) if is_here else None
    return Standing(found, is_meant=found is not None)


def is_what_is_meant(home: Home, thing: Whole, meant: Meant) -> bool:
    """Return whether nothing need be fetched: it is that, or newer than what others have."""
    if meant.id in {None, thing.id}:
        return True
    title = home.register.title(thing.name)
    is_newer = title is not None and title.version > meant.title.version
    return is_newer and title is not None and title.id == thing.id and not meant.is_exact


def held(home: Home, what: str) -> Whole:
    """Return the thing here that `what` means; if need be, the whole folder is looked through.

    Raises:
        OperatorError: there is none.
    """
    home.watcher.look_at(what)  # This is quick, if it is a name.
    thing = _known(home, what)
    if thing is None:
        home.watcher.look_through()
        thing = _known(home, what)
    if thing is None:
        home.watcher.wait_for_large()
        thing = _known(home, what)
    if thing is not None:
        return thing
    message = f"{home.identity.name} has no {display(what)}"
    raise NotFoundError(f"{message}; `shoal ls` shows who holds what")


def _known(home: Home, what: str) -> Whole | None:
    wholes = home.inventory.wholes()
    return next((thing for thing in wholes if matches(thing.id, what, thing.name)), None)


def _refuse_what_cannot_be_read(home: Home, name: str, *, force: bool) -> None:
    path = home.identity.place(name)
    if force or path.is_symlink() or not (path.is_file() or path.is_dir()):
        return
    message = f"{home.identity.folder} already has {display(name)}, which cannot be read, or keeps"
    raise OperatorError(f"{message} changing; move it, or pass --force")


def _refuse_to_replace(
    home: Home,
    thing: Whole,
    meant: Meant,
    selection: Selection,
    looking: Looking,
) -> None:
    another = f"{home.identity.folder} already has a different {display(thing.name)}"
    if not selection.is_everything:
        raise OperatorError(f"{another}; a part of this one would get mixed with it: use --output")
    if looking.force:
        return
    remedy = "move it, or pass --force"
    reason = _reason_to_keep(home, thing, meant, looking.others_have)
    if reason:
        raise OperatorError(f"{another} {reason}; {remedy}")
    if isinstance(thing.source, Tree):
        shared = {entry.path.encode() for entry in thing.source.entries()}
        place = os.fsencode(thing.source.root)
        for path in others(place, shared):
            inside = display(path.decode(errors="replace"))
            raise OperatorError(f"{another}, and {inside} in it is not shared; {remedy}")


def _reason_to_keep(home: Home, thing: Whole, meant: Meant, others_have: HasIt) -> str:
    """Return why a thing must not be replaced, as a phrase that follows it; empty if it may be.

    An unchanged copy gives way to a newer version of its name. Anything else must be held by
    another node, whole and right now, or it would be lost.
    """
    if meant.name is None:
        return "that an id alone does not replace"
    title = home.register.title(thing.name)
    is_ours = title is not None and title.publisher == home.identity.name
    if is_ours:
        return "that this node published itself"
    is_copy = title is not None and title.id == thing.id and title.version > 0
    if is_copy and title is not None and title.version < meant.title.version:
        return ""
    return "" if others_have(thing) else "that no other node holds"

"""What stands in a node's folder under a name, and whether a fetch may replace it.

Replaces nothing.
"""

import os

import msgspec

from node.home import Home
from node.others import others
from node.rules import FORGOTTEN, REPLACING
from node.selection import Selection
from node.tree import Tree
from node.versions import Meant, matches
from node.whole import Whole
from protocol.errors import ExitCode, OperatorError
from protocol.names import display


class Standing(msgspec.Struct, frozen=True):
    """What was found: nothing, if all is as by default."""

    thing: Whole | None = None
    is_meant: bool = False  # It is what is to be fetched.
    withheld: str = ""  # Why it is not shared (node.rules), if it is not.

    @property
    def may_go(self) -> bool:
        """Say whether it may be replaced, whatever is in it."""
        return self.thing is not None or self.withheld == REPLACING


def look(home: Home, meant: Meant, selection: Selection, *, force: bool) -> Standing:
    """Return what stands there.

    Raises:
        OperatorError: it must not be replaced, as nobody else has it.
    """
    if meant.answer is None:
        known = home.inventory.find(meant.what)
        here = home.watcher.look_at(known.name) if isinstance(known, Whole) else None
        return Standing(here, is_meant=here is not None)
    name = meant.name or meant.answer.name
    rule = home.rules.of(name)
    if rule.withheld not in {"", FORGOTTEN}:
        return Standing(withheld=rule.withheld)
    thing = home.watcher.examine(name)  # What is refused below shall not be announced either.
    if thing is None:
        _refuse_what_cannot_be_read(home, name, force=force)
        return Standing()
    if meant.answer.id in {None, thing.id}:
        if rule.withheld:
            home.rules.set(name, msgspec.structs.replace(rule, withheld=""))
        return Standing(home.watcher.look_at(name) or thing, is_meant=True)
    _refuse_to_replace(home, thing, meant, selection, force=force)
    return Standing(thing)


def held(home: Home, what: str) -> Whole:
    """Return the thing that is held and meant by `what`; all are looked at if need be.

    Raises:
        OperatorError: there is none.
    """
    home.watcher.look_at(what)  # This is quick, if it is a name.
    thing = _known(home, what)
    if thing is None:
        home.watcher.look_through()
        thing = _known(home, what)
    if thing is not None:
        return thing
    message = f"{home.identity.name} holds no {display(what)}"
    raise OperatorError(f"{message}; `shoal ls` shows who holds what", ExitCode.NOT_FOUND)


def _known(home: Home, what: str) -> Whole | None:
    wholes = home.inventory.wholes()
    return next((thing for thing in wholes if matches(thing.id, what, thing.name)), None)


def _refuse_what_cannot_be_read(home: Home, name: str, *, force: bool) -> None:
    path = home.identity.folder / name
    if force or path.is_symlink() or not (path.is_file() or path.is_dir()):
        return
    message = f"another {display(name)} lies in {home.identity.folder}, which"
    message += " cannot be read, or keeps changing"
    raise OperatorError(f"{message}; move it away, or let --force replace it")


def _refuse_to_replace(
    home: Home, thing: Whole, meant: Meant, selection: Selection, *, force: bool
) -> None:
    another = f"another {display(thing.name)} lies in {home.identity.folder}"
    if not selection.is_everything:
        raise OperatorError(f"{another}, and a part of this one would mix with it; give --output")
    if force:
        return
    remedy = "move it away, or let --force replace it"
    if thing.id not in meant.known:
        raise OperatorError(f"{another}, which nobody else has; {remedy}")
    if isinstance(thing.source, Tree):
        shared = {entry.path.encode() for entry in thing.source.entries()}
        place = os.fsencode(thing.source.root)
        for path in others(place, shared):
            inside = display(path.decode(errors="replace"))
            raise OperatorError(f"{another}, of which {inside} is not shared; {remedy}")

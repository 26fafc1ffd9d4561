"""From what the operator typed to what is meant: a name, an id, NAME@ID, and a path in a tree.

Asks the tracker through a function that is given; knows no sockets.
"""

import re
from collections.abc import Callable

import msgspec
from shoal.protocol.errors import NotFoundError, OperatorError
from shoal.protocol.manifest import is_id
from shoal.protocol.messages import Holders
from shoal.protocol.names import display
from shoal.protocol.titles import Title

_VERSION = re.compile(r"(?P<name>.+)@(?:b3:)?(?P<prefix>[0-9a-f]{4,64})\Z", re.DOTALL)

Ask = Callable[[str, str], Holders | None]  # A name or an id, and how the version's id begins.


class Meant(msgspec.Struct, frozen=True):
    """What to fetch: it is asked of others as `what`, a name or an id.

    `name` is what it is to be called here; none: what others call it. Only content with the `id`
    is taken; none: that of the first holder, as nobody but the cluster file has spoken of it.
    With `is_exact` the operator named the version, else the newest is meant. `answer` is what the
    tracker says of it, none if others have nothing like it. `inside` is the path of what is wanted
    of a tree; empty: all of it.
    """

    what: str
    name: str | None = None
    id: str | None = None
    answer: Holders | None = None
    is_exact: bool = False
    inside: str = ""

    @property
    def title(self) -> Title:
        """Return which version it is by the tracker's word; without an id if that is not known."""
        if self.answer is None:
            return Title(self.id or "")
        return Title(self.id or "", self.answer.version, self.answer.publisher)


class LyingTrackerError(Exception):
    """The tracker answered for something else than it was asked for."""


def find(what: str, ask: Ask) -> Meant:
    """Return what is meant by `what`.

    Raises:
        OperatorError: there is no such version, or more than one.
        LyingTrackerError: as it says.
    """
    if is_id(what):
        answer = ask(what, "")
        _require(answer is None or answer.id == what)
        return Meant(what, None, what, answer, is_exact=True)
    answer = ask(what, "")
    if answer is not None:
        _require(answer.name == what)
        return Meant(answer.id or what, what, answer.id, answer)
    version = _VERSION.match(what)
    if version is not None:
        name, prefix = version.group("name", "prefix")
        answer = ask(name, prefix)
        if answer is not None:
            return _of_version(name, prefix, answer)
        if ask(name, "") is not None:
            message = f"{display(name)} has no version whose id begins with {prefix}"
            remedy = f"`shoal where {display(name)}` shows them"
            raise NotFoundError(f"{message}; {remedy}")
    tree, _, inside = what.partition("/")
    if inside:
        meant = find(tree, ask)
        if meant.answer is not None:
            return msgspec.structs.replace(meant, inside=inside)
    return Meant(what, what)


def _of_version(name: str, prefix: str, answer: Holders) -> Meant:
    """Return the version that is meant, if it is the only one of its name that begins so."""
    others = {version.id for version in answer.versions} - {answer.id}
    _require(answer.id is not None and answer.name == name)
    found = sorted(one for one in {answer.id, *others} if one and one.startswith(f"b3:{prefix}"))
    _require(answer.id in found)
    if len(found) > 1:
        some = f"{display(name)} has {len(found)} versions that begin with {prefix}"
        raise OperatorError(f"{some}: {', '.join(found)}; give more of the id")
    return Meant(found[0], name, found[0], answer, is_exact=True)


def _require(is_what_was_asked: bool) -> None:  # noqa: FBT001 (an assertion of the tracker)
    if not is_what_was_asked:
        raise LyingTrackerError


def named_in(what: str, least_digits: int = 0) -> str | None:
    """Return the NAME of NAME@ID, if so much of the id is there; else none."""
    version = _VERSION.match(what)
    is_one = version is not None and len(version["prefix"]) >= least_digits
    return version["name"] if version is not None and is_one else None


def names_content(what: str) -> bool:
    """Say whether `what` says itself which content is meant: it is an id, or may be NAME@ID."""
    return is_id(what) or named_in(what) is not None


def is_exactly(content_id: str, what: str, name: str) -> bool:
    """Say whether `what` is the whole id, alone or as NAME@ID, of the thing `name`."""
    digits = content_id.removeprefix("b3:")
    return what in {content_id, f"{name}@{content_id}", f"{name}@{digits}"}


def matches(content_id: str, what: str, name: str) -> bool:
    """Say whether `what` means the thing `name` with this id: by name, by id or as NAME@ID."""
    if what in {name, content_id}:
        return True
    version = _VERSION.match(what)
    return (
        version is not None
        and version["name"] == name
        and content_id.startswith(f"b3:{version['prefix']}")
    )

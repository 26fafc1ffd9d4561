"""What the operator means by a name, an id, NAME@ID, or one of these with a path in a tree.

Asks the tracker through a function that is passed in; knows no sockets.
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
    """What to fetch: others are asked for `what`, a name or an id.

    `name` is its name here; None: the one others use. Only content with the `id` is accepted; None:
    that of the first holder, as only the cluster file has mentioned it. With `is_exact` the
    operator named the version, otherwise the newest is meant. `answer` is what the tracker says,
    None if no other node has anything like it. `inside` is the path of the wanted part of a tree;
    empty: all of it.
    """

    what: str
    name: str | None = None
    id: str | None = None
    answer: Holders | None = None
    is_exact: bool = False
    inside: str = ""

    @property
    def title(self) -> Title:
        """Which version the tracker says it is; without an id if that is not known."""
        if self.answer is None:
            return Title(self.id or "")
        return Title(self.id or "", self.answer.version, self.answer.publisher)


class LyingTrackerError(Exception):
    """The tracker answered for something other than it was asked for."""


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
    """Return the version whose id begins like that, if there is only one."""
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
    """Return the NAME of NAME@ID, if that many digits of the id are there; otherwise None."""
    version = _VERSION.match(what)
    is_one = version is not None and len(version["prefix"]) >= least_digits
    return version["name"] if version is not None and is_one else None


def names_content(what: str) -> bool:
    """Return whether `what` itself says which content is meant: an id, or perhaps NAME@ID."""
    return is_id(what) or named_in(what) is not None


def is_exactly(content_id: str, what: str, name: str) -> bool:
    """Return whether `what` is the whole id, alone or as NAME@ID, of the thing `name`."""
    digits = content_id.removeprefix("b3:")
    return what in {content_id, f"{name}@{content_id}", f"{name}@{digits}"}


def matches(content_id: str, what: str, name: str) -> bool:
    """Return whether `what` means the thing `name` with this id: by name, id or NAME@ID."""
    if what in {name, content_id}:
        return True
    version = _VERSION.match(what)
    return (
        version is not None
        and version["name"] == name
        and content_id.startswith(f"b3:{version['prefix']}")
    )

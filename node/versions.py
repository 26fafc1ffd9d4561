"""From what the operator typed to what is meant: a name, an id, NAME@ID, and a path in a tree.

Asks the tracker through a function that is given; knows no sockets.
"""

import re
from collections.abc import Callable

import msgspec

from protocol.errors import ExitCode, OperatorError
from protocol.messages import Holders
from protocol.names import display

_VERSION = re.compile(r"(?P<name>.+)@(?:b3:)?(?P<prefix>[0-9a-f]{4,64})\Z", re.DOTALL)

Ask = Callable[[str], Holders | None]


class Meant(msgspec.Struct, frozen=True):
    """What to fetch: `what` is a name or an id, `name` what it is to be called here.

    `answer` is what the tracker says of it, none if it knows of nothing. `known` are the ids of all
    versions of that name that somebody holds. `inside` is the path of what is wanted of a tree;
    empty: all of it.
    """

    what: str
    name: str | None = None
    answer: Holders | None = None
    known: frozenset[str] = frozenset()
    inside: str = ""


def find(what: str, ask: Ask) -> Meant:
    """Return what is meant by `what`.

    Raises:
        OperatorError: there is no such version, or more than one.
    """
    answer = ask(what)
    if answer is not None:
        return Meant(what, answer=answer, known=_ids(answer))
    version = _VERSION.match(what)
    if version is not None:
        name, prefix = version.group("name", "prefix")
        of_that_name = ask(name)
        if of_that_name is not None:
            content_id = _version_of(of_that_name, prefix)
            return Meant(content_id, name, ask(content_id), _ids(of_that_name))
    tree, _, inside = what.partition("/")
    if inside:
        meant = find(tree, ask)
        if meant.answer is not None:
            return msgspec.structs.replace(meant, inside=inside)
    return Meant(what)


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


def _ids(answer: Holders) -> frozenset[str]:
    newest = frozenset({answer.id} if answer.id else ())
    return newest.union(version.id for version in answer.versions)


def _version_of(answer: Holders, prefix: str) -> str:
    ids = sorted(one for one in _ids(answer) if one.startswith(f"b3:{prefix}"))
    name = display(answer.name)
    if not ids:
        message = f"{name} has no version whose id begins with {prefix}"
        raise OperatorError(f"{message}; `shoal where {name}` shows them", ExitCode.NOT_FOUND)
    if len(ids) > 1:
        raise OperatorError(f"{name} has {len(ids)} versions that begin with {prefix}; give more")
    return ids[0]

"""Pushes: having nodes hold something, and seeing who does."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from shoal.api.admin import towards_as_admin
from shoal.api.asking import Line, meant_by, trackers_of
from shoal.api.security import towards_tracker
from shoal.api.what import checked_what
from shoal.config.cluster import Cluster, node_named
from shoal.config.document import choices, shown
from shoal.protocol.errors import NotAllowedError, NotFoundError, OperatorError
from shoal.protocol.messages import Ok
from shoal.protocol.names import display
from shoal.protocol.pushing import (
    Push,
    Pushed,
    Pushes,
    PushList,
    Target,
    Unpush,
    Verdict,
    VerdictList,
    Verdicts,
)

LOOK_S = 0.5  # How often to ask the tracker how far everybody is, …
VERDICTS_PER_S = 1000  # … if they are few: each costs the tracker a few microseconds.
ZONE = "zone:"
ALL = "all"


class Content(NamedTuple):
    """What nodes shall hold: one version of a name."""

    name: str
    id: str
    size_bytes: int
    version: int = 0
    publisher: str | None = None


class State(NamedTuple):
    """How far all nodes are with some content."""

    content: Content
    verdicts: Sequence[Verdict]

    @property
    def done(self) -> int:
        return sum(one.state == "done" for one in self.verdicts)

    @property
    def is_settled(self) -> bool:
        """Whether nothing is going on: who does not have it is off, or has failed."""
        return all(one.state in {"done", "failed", "offline"} for one in self.verdicts)

    def is_reached(self, share: float) -> bool:
        """Say whether that share of the nodes have it; nobody is not enough."""
        return bool(self.verdicts) and self.done >= share * len(self.verdicts)


def target(cluster: Cluster, text: str) -> Target:
    """Return which nodes are meant by `all`, or by names and `zone:NAME`, with commas between.

    Raises:
        OperatorError: the cluster file has no such node or zone.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if words == [ALL]:
        return Target()
    zones = {entry.zone for entry in cluster.nodes.values() if entry.zone is not None}
    chosen = [word.removeprefix(ZONE) for word in words if word.startswith(ZONE)]
    for zone in chosen:
        if zone not in zones:
            message = f"no node of the cluster file is in zone {shown(zone)}"
            raise OperatorError(f"{message}; {choices(zone, zones)}" if zones else message)
    nodes = [node_named(cluster, word).name for word in words if not word.startswith(ZONE)]
    if not nodes and not chosen:
        raise OperatorError(f"nobody is meant by {shown(text)}; expected all, or names as in n1,n2")
    return Target(tuple(nodes), tuple(chosen))


def found(line: Line, what: str) -> Content:
    """Return the content that is meant by a name, an id or NAME@ID: of a name, the newest.

    Raises:
        NotFoundError: nobody holds it.
        OperatorError: it is part of a directory, or cannot be a name; or as `Line.ask`.
    """
    what = checked_what(what)
    meant = meant_by(line, what)
    if meant.inside:
        message = f"{display(what)} is part of a directory, which is pushed as a whole"
        raise OperatorError(f"{message}; push {display(meant.what)}")
    answer = meant.answer
    if answer is None or answer.id is None or meant.id is None:
        message = f"no node has announced {display(what)} yet"
        raise NotFoundError(f"{message}; start a node that has it, or share it")
    published = answer.version, answer.publisher
    return Content(answer.name, answer.id, answer.size_bytes or 0, *published)


def opened(cluster: Cluster, *, is_admin: bool = False) -> Line:
    """Return a line to the tracker, as an admin if something is to be pushed or cancelled.

    Raises:
        NotAllowedError: there are keys, and no admin's secret is here.
        OperatorError: a secret cannot be used.
    """
    towards = towards_as_admin(cluster) if is_admin else None
    if is_admin and towards is None and cluster.keys is not None:
        place = display(str(cluster.path))
        message = f"admins push, and no admin's secret is beside {place}"
        raise NotAllowedError(f"{message}; run this where NAME.key of one of them is")
    return Line(trackers_of(cluster), towards or towards_tracker(cluster))


def begin(line: Line, content: Content, to: Target) -> None:
    """Have nodes hold it; raises as `Line.ask`."""
    line.ask(Push(content.name, content.id, content.size_bytes, to), Ok)


def cancel(line: Line, name: str) -> None:
    """End a push; what was fetched stays. Raises NotFoundError if there is none."""
    line.ask(Unpush(checked_what(name)), Ok)


def pushes(line: Line) -> list[Pushed]:
    """Return all pushes, by name; raises as `Line.pages`."""
    listed = line.pages(Pushes, PushList, lambda page: [one.name for one in page.pushes])
    return [one for page in listed for one in page.pushes]


def look_again_s(nodes: int) -> float:
    """Return how long to wait before asking again how far so many nodes are."""
    return max(LOOK_S, nodes / VERDICTS_PER_S)


def state_of_push(line: Line, name: str) -> State:
    """Return how far the push of a name is; raises NotFoundError if there is none."""
    return _state(line, lambda after: Verdicts(name, after=after))


def state_of(line: Line, content: Content, to: Target) -> State:
    """Return how far some nodes are with some content, whether it is pushed or not."""
    return _state(line, lambda after: Verdicts(content.name, content.id, to, after))


def _state(line: Line, request: Callable[[str], Verdicts]) -> State:
    """Return all pages; if the push has become another meanwhile, those of the last one."""
    verdicts: list[Verdict] = []
    content: Content | None = None
    for page in line.pages(request, VerdictList, lambda one: [each.node for each in one.verdicts]):
        told = Content(page.name, page.id, page.size_bytes)
        if content is not None and told.id != content.id:
            verdicts = []
        content = told
        verdicts += page.verdicts
    assert content is not None, "there is at least one page"
    return State(content, verdicts)

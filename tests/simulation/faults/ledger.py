"""What is pushed, by all that the tracker has answered; and what may be fetched because of it."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from shoal.protocol.messages import Error, TrackerReply, TrackerRequest
from shoal.protocol.pushing import Push, Target, Unpush, Verdict, Wish, Wishes, WishList

from tests.simulation.faults.trace import Finding

if TYPE_CHECKING:
    from shoal.broker.tracking.tracker import Tracker

Content = tuple[str, Target]  # An id, and who shall hold it.


class Taken(NamedTuple):
    """A push that the tracker has taken in, or None: the end of one."""

    number: int
    content: Content | None


NEVER = Taken(0, None)


class Ledger:
    """Follows each name from one push to the next. A tracker that starts must still know them."""

    def __init__(self, hits: "collections.Counter[str]") -> None:
        """Count in `hits` what happened."""
        self.hits = hits
        self.zones: dict[str, str | None] = {}  # The nodes in the tracker's cluster file.
        self._taken: dict[str, list[Taken]] = {}  # By name; what an earlier start may have saved.
        self._acknowledged: collections.Counter[str] = collections.Counter()  # Numbers, by name.
        self._count = 0
        self._told: dict[str, set[tuple[str, str]]] = {}  # All wishes that a node was ever told.
        self._ordered: dict[str, set[str]] = {}  # What users have ordered to be fetched, by node.
        self._healed: set[tuple[str, str]] = set()  # What was to be healed, by node and id.
        self.obeyed: dict[str, Wish] = {}  # What nodes are fetching because it is wished.

    # What the tracker does.

    def answered(self, request: TrackerRequest, reply: TrackerReply) -> None:
        """Note what a request has changed, and that a list of wishes is right."""
        if isinstance(request, Push | Unpush) and not isinstance(reply, Error):
            self._count += 1
            content = (request.id, request.to) if isinstance(request, Push) else None
            self._taken.setdefault(request.name, [NEVER]).append(Taken(self._count, content))
        if isinstance(request, Wishes) and isinstance(reply, WishList):
            expected = {(name, found[0]) for name, found in self._wished_of(request.node)}
            told = {(wish.name, wish.id) for wish in reply.wishes}
            if told != expected:
                text = f"{request.node} was told of {sorted(told)}, not of {sorted(expected)}"
                raise Finding("wishes", text)
            self._told.setdefault(request.node, set()).update(told)

    def began(self, tracker: "Tracker") -> None:
        """Require that a tracker has all that was acknowledged, and go by what it has."""
        for name, taken in self._taken.items():
            found = _known(tracker, name)
            allowed = [one for one in taken if one.number >= self._acknowledged[name]]
            same = [one for one in allowed if one.content == found]
            if not same:
                text = f"of {name} the tracker knows {found}, and not {allowed[-1].content}"
                raise Finding("wishes", text)
            self._taken[name] = [same[-1]]

    def lost(self) -> None:
        """Note that the tracker's file is gone."""
        for taken in self._taken.values():
            taken[:] = [NEVER]
        self._acknowledged.clear()

    # What the one who pushes hears.

    def acknowledged(self, name: str, content: Content | None) -> None:
        """Note that the tracker has answered that something is, or is no longer, pushed."""
        taken = self._taken.get(name, [NEVER])
        last = max((one.number for one in taken if one.content == content), default=0)
        self._acknowledged[name] = max(last, self._acknowledged[name])

    # What nodes do.

    def ordered(self, node: str, what: str) -> None:
        """Note that a user has ordered something to be fetched."""
        self._ordered.setdefault(node, set()).add(what)

    def heals(self, node: str, content_id: str) -> None:
        """Note that a node fetches something again that it had."""
        self._healed.add((node, content_id))

    def require_reason(self, node: str, name: str, content_id: str | None) -> None:
        """Require that somebody wants a node to fetch something."""
        wish = self.obeyed.get(node)
        orders = self._ordered.get(node, ())
        names = {name, _names(name)}
        is_ordered = any(one in {name, content_id} or _names(one) in names for one in orders)
        is_wished = wish is not None and name in {wish.name, f"{wish.name}@{wish.id[3:]}"}
        if not (is_ordered or is_wished or (node, content_id) in self._healed):
            raise Finding("unasked", f"{node} fetches {name}, and nobody asked it to")

    def require_wished(self, node: str, wish: Wish) -> None:
        """Require that a node has been told to fetch something."""
        if (wish.name, wish.id) not in self._told.get(node, ()):
            raise Finding("unasked", f"{node} fetches {wish.name}, which nobody wished of it")

    # What should be.

    def current(self) -> Mapping[str, Content]:
        """Return what is pushed now, by name."""
        return dict(self._all())

    def meant(self, to: Target) -> list[str]:
        """Return the nodes that shall hold what is pushed to these."""
        return [node for node in self.zones if self._means(to, node)]

    def require_verdicts(self, to: Target, verdicts: Sequence[Verdict]) -> None:
        """Require that there is a verdict on each node that is meant, and on no other."""
        told, expected = [one.node for one in verdicts], sorted(self.meant(to))
        if told != expected:
            raise Finding("verdicts", f"there are verdicts on {told}, not on {expected}")

    def _means(self, to: Target, node: str) -> bool:
        is_all = not to.nodes and not to.zones
        return is_all or node in to.nodes or self.zones[node] in to.zones

    def _wished_of(self, node: str) -> Iterable[tuple[str, Content]]:
        for name, content in self._all():
            if node in self.zones and self._means(content[1], node):
                yield name, content

    def _all(self) -> Iterable[tuple[str, Content]]:
        for name, taken in sorted(self._taken.items()):
            if taken[-1].content is not None:
                yield name, taken[-1].content


def _names(what: str) -> str:
    """Return the name of NAME@ID, or of a path in a tree."""
    return what.partition("@")[0].partition("/")[0]


def _known(tracker: "Tracker", name: str) -> Content | None:
    found = tracker._state.wishes.find(name)
    return None if found is None else (found.id, found.to)

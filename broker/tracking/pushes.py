"""Pushes: who may wish what of whom, and what has become of it."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shoal.broker.tracking.changes import Unwished, Wished
from shoal.broker.tracking.events import PushBegun, PushEnded, PushReached
from shoal.broker.tracking.state import Decision, State
from shoal.broker.tracking.wishes import Wanted
from shoal.protocol.errors import WireCode
from shoal.protocol.messages import Error, Ok
from shoal.protocol.permits import Who
from shoal.protocol.pushing import (
    Doing,
    Push,
    Pushed,
    PushList,
    Target,
    Unpush,
    Verdict,
    VerdictList,
    Verdicts,
    Wish,
    WishList,
)

DISOBEYS = "its cluster file does not accept pushes; add accept_pushes: true, and start it again"
MOST_SHOWN = 3  # Of the nodes that are not in the cluster file.


Answer = tuple[Ok | Error, tuple[str, ...]]  # And the live nodes that are to hear of it.


@dataclass(frozen=True, slots=True)
class Pushes:
    """Decides about pushes, and tells of them."""

    state: State
    shares: bool = False  # What this tracker knows already, another one may just have ended.

    def push(self, request: Push, who: Who | None) -> Decision[Answer]:
        """Note what nodes shall hold, if the asker may say so and the content is known."""
        refusal = self._refusal(who) or self._mistake(request)
        if refusal is not None:
            return refusal, ()
        known = self.state.wishes.find(request.name)
        what = request.name, request.id, request.size_bytes
        wished = Wished(*what, request.to.nodes, request.to.zones)
        if known is not None and (known.id, known.to) == (request.id, request.to):
            if self.shares:
                yield wished
            return self._ok(), ()
        count = sum(1 for _ in self._meant(request.to))
        yield PushBegun(request.name, request.id, _by(who), count)
        yield wished
        have = self._have_count(request)
        if have == count:
            yield PushReached(request.name, have, count)
        targets = (request.to,) if known is None else (request.to, known.to)
        return self._ok(), self._concerned(targets)

    def _have_count(self, request: Push) -> int:
        version = self.state.catalogue.find(request.name, request.id)
        whole = version.whole if version is not None else {}
        return sum(node in whole for node in self._meant(request.to))

    def unpush(self, request: Unpush, who: Who | None) -> Decision[Answer]:
        """Forget a push; what was fetched stays where it is."""
        refusal = self._refusal(who)
        if refusal is not None:
            return refusal, ()
        known = self.state.wishes.find(request.name)
        if known is None:
            return _not_pushed(request.name), ()
        yield PushEnded(request.name, _by(who))
        yield Unwished(request.name)
        return self._ok(), self._concerned((known.to,))

    def all(self, after: str, now: float) -> PushList:
        """Return a page of all pushes."""
        page: list[Pushed] = []
        settings, looked_at = self.state.settings, 0
        for wanted in self.state.wishes.after(after):
            if len(page) >= settings.page_files or looked_at >= settings.page_looks:
                return PushList(tuple(page), next=page[-1].name)
            meant = list(self._meant(wanted.to))
            looked_at += len(meant)
            version = self.state.catalogue.find(wanted.name, wanted.id)
            whole = version.whole if version is not None else {}
            published = version.published if version is not None else (0, None)
            counts = len(meant), sum(node in whole for node in meant)
            what = wanted.name, wanted.id, wanted.size_bytes, wanted.to
            page.append(Pushed(*what, int(now - wanted.since), *counts, *published))
        return PushList(tuple(page))

    def wishes_of(self, node: str, after: str) -> WishList:
        """Return a page of what a node shall hold: nothing, if it is not in the cluster file."""
        wishes, count = self.state.wishes, self.state.settings.page_files
        entry = self.state.initial.nodes.get(node)
        meant: Iterator[Wanted] = iter(())
        if entry is not None:
            meant = (one for one in wishes.after(after) if one.means(node, entry.zone))
        page = [
            Wish(one.name, one.id, one.size_bytes) for one in itertools.islice(meant, count + 1)
        ]
        following = page[count - 1].name if len(page) > count else None
        return WishList(wishes.revision, tuple(page[:count]), following)

    def verdicts(self, request: Verdicts) -> VerdictList | Error:
        """Return a page of how far each node is that is meant."""
        wanted = self._wanted(request)
        if wanted is None:
            return _not_pushed(request.name)
        count = self.state.settings.page_nodes
        later = sorted(node for node in self._meant(wanted.to) if node > request.after)
        verdicts = tuple(self._verdict(node, wanted) for node in later[:count])
        following = later[count - 1] if len(later) > count else None
        what = wanted.name, wanted.id, wanted.size_bytes
        return VerdictList(*what, verdicts, following)

    def _wanted(self, request: Verdicts) -> Wanted | None:
        if request.id is None:
            return self.state.wishes.find(request.name)
        version = self.state.catalogue.find(request.name, request.id)
        size_bytes = 0 if version is None else version.size_bytes
        return Wanted(request.name, request.id, size_bytes, request.to, since=0.0)

    def _concerned(self, targets: Iterable[Target]) -> tuple[str, ...]:
        """Return the live nodes that are meant by any of the targets."""
        nodes = dict.fromkeys(itertools.chain.from_iterable(map(self._meant, targets)))
        return tuple(node for node in nodes if self.state.members.has_lease(node))

    def _verdict(self, node: str, wanted: Wanted) -> Verdict:
        version = self.state.catalogue.find(wanted.name, wanted.id)
        if version is not None and node in version.whole:
            return Verdict(node, "done", wanted.size_bytes)
        member = self.state.members.find(node)
        if member is None or not member.has_lease:
            return Verdict(node, "offline")
        return _as_told(node, wanted, member.doing or Doing())

    def _meant(self, to: Target) -> Iterable[str]:
        return self.state.initial.meant(to)

    def _refusal(self, who: Who | None) -> Error | None:
        """Without keys, pushes must be allowed; with keys, protocol.permits has judged already."""
        if who is not None or self.state.initial.accepts_pushes:
            return None
        remedy = "add `accept_pushes: true` to the cluster file, or give the cluster keys"
        return Error(WireCode.NOT_ALLOWED, f"nodes do not obey pushes here; {remedy}")

    def _mistake(self, request: Push) -> Error | None:
        initial, settings = self.state.initial, self.state.settings
        unknown = [node for node in request.to.nodes if node not in initial.nodes]
        if unknown:
            named = ", ".join(unknown[:MOST_SHOWN])
            return Error(WireCode.NOT_FOUND, f"no such node in the cluster file: {named}")
        empty = [zone for zone in request.to.zones if not initial.zone(zone)]
        if empty:
            return Error(WireCode.NOT_FOUND, f"no node of the cluster file is in zone {empty[0]!a}")
        if self.state.catalogue.find(request.name, request.id) is None:
            return Error(WireCode.NOT_FOUND, "nobody holds this content under that name")
        is_new = self.state.wishes.find(request.name) is None
        if is_new and len(self.state.wishes) >= settings.max_wishes:
            text = f"the tracker keeps no more than {settings.max_wishes} pushes; cancel some"
            return Error(WireCode.TOO_MUCH, text)
        return None

    def _ok(self) -> Ok:
        return Ok(lease_ms=0, holdings=0, wishes=self.state.wishes.revision)


def _as_told(node: str, wanted: Wanted, doing: Doing) -> Verdict:
    """Return how far a node is, by what it told with its last renewal."""
    if not doing.obeys:
        return Verdict(node, "failed", reason=DISOBEYS)
    for one in doing.fetching:
        if one.id == wanted.id or (one.id is None and one.name == wanted.name):
            return Verdict(node, "fetching", one.have_bytes, one.rate)
    for one in doing.hashing:
        if one.name == wanted.name:
            return Verdict(node, "hashing", one.have_bytes, one.rate)
    for each in doing.failed:
        if (each.name, each.id) == (wanted.name, wanted.id):
            return Verdict(node, "failed", reason=each.reason, retry_s=each.retry_s)
    return Verdict(node, "waiting")


def _by(who: Who | None) -> str:
    return "somebody" if who is None else who.name


def _not_pushed(name: str) -> Error:
    return Error(WireCode.NOT_FOUND, f"{name!a} is not pushed")

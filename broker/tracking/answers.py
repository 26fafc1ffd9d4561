"""Answers to questions: who holds what, which files there are, which nodes. Changes nothing."""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
from shoal.broker.tracking import handout
from shoal.broker.tracking.catalogue import Version
from shoal.broker.tracking.handout import Nodes
from shoal.broker.tracking.state import State
from shoal.protocol import manifest
from shoal.protocol.messages import File, Files, Holder, Holders, NodeStatus, OtherVersion, Query

if TYPE_CHECKING:
    from random import Random

NOBODY: Mapping[str, Holder] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answers:
    """Reads the state. Times are in seconds, on the tracker's clock."""

    state: State
    rng: "Random"

    def holders(self, query: Query, now: float) -> Holders | None:
        """Return its holders other than the asker, or None if there are none, alive or silent.

        Of a name, the newest version is meant. An id means all names it goes by.
        """
        versions = self._meant(query)
        held = [each for each in versions if each.other_holder_count(query.node)]
        initial = [] if query.prefix else self._initial_holders(query.what, query.node)
        unheard = {holder.node: holder for holder in initial}
        if not held:
            return self._initial_answer(query, unheard, now) if unheard else None
        alive, silent = self._candidates(held, query.node)
        alive.whole.extend(unheard)
        answered = held[0]
        others = self.state.catalogue.versions(answered.name, query.prefix)
        return Holders(
            name=answered.name,
            id=answered.id,
            size_bytes=answered.size_bytes,
            holders=self._chosen(alive, query.node, unheard),
            offline=self._chosen(silent, query.node),
            versions=self._other_versions(others, query.node, now, besides=answered),
            version=answered.published.number,
            publisher=answered.published.publisher,
            listed=any(each.is_held_by(query.node) for each in versions),
        )

    def everybody(self, query: Query, now: float) -> Holders | None:
        """Return a page of all holders, ordered by node; None if there are none."""
        answer, versions = self.holders(query, now), self._meant(query)
        if answer is None:
            return None
        initial = [] if query.prefix else self._initial_holders(query.what, None)
        whole = {node for version in versions for node in version.whole}
        parts = {node for version in versions for node in version.partial} - whole
        spoken = [self._holder(node, complete=True) for node in whole]
        spoken += [self._holder(node, complete=False) for node in parts]
        holders = spoken + [each for each in initial if each.node not in whole | parts]
        count = self.state.settings.page_nodes
        later = (holder for holder in holders if holder.node > (query.after or ""))
        page = heapq.nsmallest(count + 1, later, key=lambda holder: holder.node)
        silent = {holder.node for holder in spoken if not holder.alive}
        return msgspec.structs.replace(
            answer,
            holders=tuple(holder for holder in page[:count] if holder.node not in silent),
            offline=tuple(holder for holder in page[:count] if holder.node in silent),
            next=page[count - 1].node if len(page) > count else None,
        )

    def files(self, after: str, now: float) -> Files:
        """Return a page of all versions of the names that sort after `after`."""
        settings, state = self.state.settings, self.state
        page: list[File] = []
        holder_count = 0
        names = heapq.merge(
            state.catalogue.names_after(after), state.initial_holdings.names_after(after)
        )
        for name, _ in itertools.groupby(names):
            if len(page) >= settings.page_files or holder_count >= settings.page_holders:
                return Files(tuple(page), next=page[-1].name)
            for file in self._files_named(name, now):
                page.append(file)
                holder_count += len(file.holders)
        return Files(tuple(page))

    def nodes(self, after: str, now: float) -> tuple[tuple[NodeStatus, ...], str | None]:
        """Return a page of the nodes that sort after `after`, and the last if there are more."""
        count = self.state.settings.page_nodes
        nodes = self.state.members.by_node.keys() | self.state.initial.nodes.keys()
        page = heapq.nsmallest(count + 1, (node for node in nodes if node > after))
        statuses = tuple(self._node_status(node, now) for node in page[:count])
        return statuses, page[count - 1] if len(page) > count else None

    def _meant(self, query: Query) -> list[Version]:
        """Return the versions that a query is about: of a name, the newest that others hold."""
        catalogue = self.state.catalogue
        if manifest.is_id(query.what):
            return list(catalogue.versions_with(query.what))
        versions = catalogue.versions(query.what, query.prefix)
        held = (each for each in versions if each.other_holder_count(query.node))
        return list(itertools.islice(held, 1))

    def _initial_answer(self, query: Query, unheard: Mapping[str, Holder], now: float) -> Holders:
        """Return what the cluster file alone says about a name."""
        holders = self._chosen(Nodes(list(unheard), []), query.node, unheard)
        known = self.state.catalogue.versions(query.what)  # Only the asker holds them.
        listed = any(
            node == query.node for node, _ in self.state.initial_holdings.holders(query.what)
        )
        versions = self._other_versions(known, query.node, now)
        return Holders(query.what, None, None, holders, versions=versions, listed=listed)

    def _initial_holders(self, name: str, asker: str | None) -> list[Holder]:
        """Return the cluster file's holders that have not spoken themselves."""
        told = self.state.initial_holdings.holders(name)
        return [Holder(*each, complete=True, alive=False) for each in told if each[0] != asker]

    def _candidates(self, versions: list[Version], asker: str | None) -> tuple[Nodes, Nodes]:
        """Return the holders of the versions that may renew their lease, and the others.

        Each node comes once; it counts as whole if it has all of one version.
        """
        alive, silent, has_lease = Nodes([], []), Nodes([], []), self.state.members.has_lease
        pools = [(each.whole, alive.whole, silent.whole) for each in versions]
        pools += [(each.partial, alive.partial, silent.partial) for each in versions]
        seen = {asker}
        for pool, with_lease, without in pools:
            for node in self._considered(pool, asker):
                if node not in seen:
                    seen.add(node)
                    (with_lease if has_lease(node) else without).append(node)
        return alive, silent

    def _considered(self, pool: Mapping[str, None], asker: str | None) -> list[str]:
        """Return enough nodes to choose from: a sample, or all if too few of a sample are alive."""
        settings = self.state.settings
        everyone = list(pool)
        count = settings.considered_per_handout * settings.max_handout
        if len(everyone) <= count:
            return everyone
        sample = self.rng.sample(everyone, count)
        alive_count = sum(map(self.state.members.has_lease, sample))
        if alive_count <= settings.max_handout:
            return everyone
        near = [node for node in self.state.initial.neighbours(asker) if node in pool]
        return sample + self._members(sample, pool) + self.rng.sample(near, min(len(near), count))

    def _members(self, sample: Sequence[str], pool: Mapping[str, None]) -> list[str]:
        """Return more of the cluster file's nodes, if a sample has more strangers than those."""
        listed, count = self.state.initial.nodes, self.state.settings.max_handout
        if not listed or sum(node in listed for node in sample) >= count:
            return []
        members = [node for node in listed if node in pool]
        return self.rng.sample(members, min(len(members), count))

    def _chosen(
        self, nodes: Nodes, asker: str | None, unheard: Mapping[str, Holder] = NOBODY
    ) -> tuple[Holder, ...]:
        """Return as many as may be named; those that are `unheard` have not spoken yet."""
        whole, partial = handout.choose(
            nodes,
            self.state.settings.max_handout,
            asker,
            self.state.initial.neighbours(asker),
            self.rng,
            self.state.initial.nodes,
        )
        told = [unheard.get(node) or self._holder(node, complete=True) for node in whole]
        return (*told, *(self._holder(node, complete=False) for node in partial))

    def _holder(self, node: str, *, complete: bool) -> Holder:
        member = self.state.members.by_node[node]
        return Holder(node, member.address, complete, member.is_alive)

    def _other_versions(
        self,
        versions: Iterable[Version],
        asker: str | None,
        now: float,
        besides: Version | None = None,
    ) -> tuple[OtherVersion, ...]:
        others = (version for version in versions if version is not besides)
        return tuple(
            OtherVersion(
                version.id,
                version.size_bytes,
                int(now - version.announced),
                version.other_holder_count(asker),
                *version.published,
            )
            for version in itertools.islice(others, self.state.settings.max_other_versions)
        )

    def _files_named(self, name: str, now: float) -> Iterator[File]:
        """Yield the versions of `name`, newest first, until their holders fill a page."""
        settings = self.state.settings
        initial = self._initial_holders(name, asker=None)
        count = settings.max_other_versions + 1
        versions = list(itertools.islice(self.state.catalogue.versions(name), count))
        if not versions:
            yield File(name, None, None, 0, newest=True, holders=tuple(initial))
        room = settings.page_holders
        for version in versions:
            newest = version is versions[0]
            holders = (initial if newest else []) + self._all_holders(version, room)
            holders = sorted(holders, key=lambda holder: holder.node)[:room]
            room -= len(holders)
            age_s = int(now - version.announced)
            told = version.id, version.size_bytes, age_s, newest, tuple(holders)
            yield File(name, *told, *version.published)

    def _all_holders(self, version: Version, count: int) -> list[Holder]:
        whole = (self._holder(node, complete=True) for node in version.whole)
        partial = (self._holder(node, complete=False) for node in version.partial)
        return list(itertools.islice(itertools.chain(whole, partial), count))

    def _node_status(self, node: str, now: float) -> NodeStatus:
        member = self.state.members.find(node)
        if member is None:
            address = self.state.initial.nodes[node].address
            file_count = self.state.initial_holdings.count(node)
            return NodeStatus(node, address, alive=False, files=file_count, silent_ms=None)
        heard_at = member.silent_since if member.last_seen is None else member.last_seen
        silent_ms = None if heard_at is None else int(1000 * (now - heard_at))
        count = len(self.state.catalogue.held_by(node))
        return NodeStatus(
            node, member.address, member.is_alive, count, silent_ms, spoke=True, doing=member.doing
        )

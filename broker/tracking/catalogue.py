"""Which names have which versions, and which nodes hold them. Knows no leases and no messages."""

import bisect
import operator
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from shoal.broker.tracking.records import (
    UNPUBLISHED,
    Change,
    ForgetHolder,
    ForgetVersion,
    HolderRecord,
    Publication,
    VersionRecord,
)


@dataclass(slots=True, eq=False)
class Member:
    """A node that has spoken, and what it said last."""

    node: str
    address: str
    epoch: int
    sequence: int
    left: bool = False
    last_seen: float | None = None  # none: not since the tracker started, nor when before
    silent_since: float | None = None  # none: its lease runs
    holdings: dict[int, "Version"] = field(default_factory=dict)  # by serial


@dataclass(slots=True, eq=False)
class Version:
    """Some content under some name, and its holders."""

    serial: int  # in the order of first announcements at this tracker
    name: str
    id: str
    size_bytes: int
    announced: float  # when, on the tracker's clock
    published: Publication = UNPUBLISHED
    whole: dict[str, Member] = field(default_factory=dict)
    partial: dict[str, Member] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, int]:
        """The newest version of a name has the highest: its number is, or it was known first."""
        return self.published.number, -self.serial

    def holder_count(self) -> int:
        return len(self.whole) + len(self.partial)

    def is_held_by(self, node: str | None) -> bool:
        return node in self.whole or node in self.partial

    def other_holder_count(self, node: str | None) -> int:
        """Return how many nodes hold it, not counting `node`."""
        return self.holder_count() - self.is_held_by(node)

    def record(self, now: float) -> VersionRecord:
        age_s = int(now - self.announced)
        return VersionRecord(
            self.serial, self.name, self.id, self.size_bytes, age_s, *self.published
        )


class Catalogue:
    """All versions. What must be saved of a change is appended to `changes`."""

    def __init__(self, changes: list[Change]) -> None:
        self.holding_count = 0
        self.version_count = 0
        self._changes = changes
        self._next_serial = 1
        self._by_name: dict[str, list[Version]] = {}  # by rank, the newest last
        self._by_id: dict[str, dict[str, Version]] = {}  # by id and name, in order of serials
        self._sorted_names: list[str] = []
        self._unheld: OrderedDict[int, tuple[float, Version]] = OrderedDict()  # and since when

    def find(self, name: str, content_id: str) -> Version | None:
        return self._by_id.get(content_id, {}).get(name)

    def versions(self, name: str, prefix: str = "") -> Iterator[Version]:
        """Yield the held versions of `name` whose ids begin with `prefix`, the newest first."""
        start = f"b3:{prefix}"
        for version in reversed(self._by_name.get(name, ())):
            if version.holder_count() and version.id.startswith(start):
                yield version

    def newest(self, name: str) -> Version | None:
        return next(self.versions(name), None)

    def versions_with(self, content_id: str) -> Iterator[Version]:
        """Yield the held versions with this content, of all names, in the order of serials."""
        return (each for each in self._by_id.get(content_id, {}).values() if each.holder_count())

    def names_after(self, after: str) -> Iterator[str]:
        """Yield the names that are held and sort after `after`, in order."""
        for index in range(bisect.bisect_right(self._sorted_names, after), len(self._sorted_names)):
            if self.newest(self._sorted_names[index]):
                yield self._sorted_names[index]

    def announce(
        self, name: str, content_id: str, size_bytes: int, published: Publication, now: float
    ) -> Version:
        """Return the version; one that is not known yet gets the next serial.

        The number of one that is known is never lowered. The size is taken from whoever announces
        first: the id decides it, so others cannot differ unless somebody lies, and a fetcher finds
        that out.
        """
        known = self.find(name, content_id)
        if known is not None:
            if published.number > known.published.number:
                self.publish(known, published, now)
            return known
        version = Version(self._next_serial, name, content_id, size_bytes, now, published)
        is_new_name = name not in self._by_name
        self._index(version)
        bisect.insort(self._by_name[name], version, key=_rank)
        if is_new_name:
            bisect.insort(self._sorted_names, name)
        self._unheld[version.serial] = (now, version)
        self._changes.append(version.record(now))
        return version

    def publish(self, version: Version, published: Publication, now: float) -> None:
        """Give a known version another number and publisher."""
        if version.published == published:
            return
        self._take_out(version)
        version.published = published
        bisect.insort(self._by_name[version.name], version, key=_rank)
        self._changes.append(version.record(now))

    def add_holder(self, version: Version, member: Member, *, complete: bool) -> bool:
        """List the member as holder; say whether that is news."""
        if member.node in (version.whole if complete else version.partial):
            return False
        self.restore_holder(version, member, complete=complete)
        self._changes.append(HolderRecord(version.serial, member.node, complete))
        return True

    def remove_holder(self, version: Version, member: Member, now: float) -> None:
        """Remove a holder. A version without holders is no longer mentioned, but see below."""
        del (version.whole if member.node in version.whole else version.partial)[member.node]
        del member.holdings[version.serial]
        self.holding_count -= 1
        self._changes.append(ForgetHolder(version.serial, member.node))
        if not version.holder_count():
            self._unheld[version.serial] = (now, version)

    def forget_unheld(self, since: float) -> None:
        """Forget the versions that nobody has held since then.

        Not at once: a node that announces 1000 files anew says so in several updates, the first of
        which leaves most of them without holders. They keep their serial, and so their order.
        """
        while self._unheld:
            serial, (unheld_since, version) = next(iter(self._unheld.items()))
            if unheld_since > since:
                return
            del self._unheld[serial]
            self._remove(version)
            self._changes.append(ForgetVersion(serial))

    def restore(self, records: tuple[VersionRecord, ...], now: float) -> dict[int, Version]:
        """Take up what an earlier process saved; return the versions by serial, all unheld yet."""
        restored = {}
        for serial, name, content_id, size_bytes, age_s, number, publisher in records:
            published = Publication(number, publisher)
            version = Version(serial, name, content_id, size_bytes, now - age_s, published)
            self._index(version)
            self._by_name[name].append(version)
            self._unheld[serial] = (now, version)
            restored[serial] = version
        for versions in self._by_name.values():
            versions.sort(key=_rank)
        self._sorted_names = sorted(self._by_name)
        return restored

    def restore_holder(self, version: Version, member: Member, *, complete: bool) -> None:
        """List the member as holder, which is saved already."""
        into, out_of = version.partial, version.whole
        if complete:
            into, out_of = version.whole, version.partial
        self.holding_count += 0 if out_of.pop(member.node, None) else 1
        into[member.node] = member
        member.holdings[version.serial] = version
        self._unheld.pop(version.serial, None)

    def _index(self, version: Version) -> None:
        self._by_name.setdefault(version.name, [])
        self._by_id.setdefault(version.id, {})[version.name] = version
        self._next_serial = version.serial + 1
        self.version_count += 1

    def _take_out(self, version: Version) -> None:
        versions = self._by_name[version.name]
        del versions[bisect.bisect_left(versions, version.rank, key=_rank)]

    def _remove(self, version: Version) -> None:
        self._take_out(version)
        if not self._by_name[version.name]:
            del self._by_name[version.name]
            del self._sorted_names[bisect.bisect_left(self._sorted_names, version.name)]
        del self._by_id[version.id][version.name]
        if not self._by_id[version.id]:
            del self._by_id[version.id]
        self.version_count -= 1


_rank = operator.attrgetter("rank")

"""Which names have which versions, and which nodes hold them. Knows no leases and no messages."""

import bisect
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from broker.records import Change, ForgetHolder, ForgetVersion, HolderRecord, VersionRecord


@dataclass(slots=True, eq=False)
class Member:
    """A node that has spoken, and what it said last."""

    node: str
    address: str
    epoch: int
    sequence: int
    left: bool = False
    last_seen: float | None = None  # none: not since the tracker started
    holdings: dict[int, "Version"] = field(default_factory=dict)  # by number


@dataclass(slots=True, eq=False)
class Version:
    """Some content under some name, and its holders."""

    number: int  # in the order of first announcements at this tracker
    name: str
    id: str
    size_bytes: int
    announced: float  # when, on the tracker's clock
    whole: dict[str, Member] = field(default_factory=dict)
    partial: dict[str, Member] = field(default_factory=dict)

    def holder_count(self) -> int:
        return len(self.whole) + len(self.partial)

    def is_held_by(self, node: str) -> bool:
        return node in self.whole or node in self.partial

    def is_held_by_others_than(self, node: str | None) -> bool:
        return self.holder_count() > (node is not None and self.is_held_by(node))


class Catalogue:
    """All versions. What must be saved of a change is appended to `changes`."""

    def __init__(self, changes: list[Change]) -> None:
        self.holding_count = 0
        self.version_count = 0
        self._changes = changes
        self._next_number = 1
        self._by_name: dict[str, dict[str, Version]] = {}  # by name and id, in order of numbers
        self._by_id: dict[str, dict[str, Version]] = {}  # by id and name, in order of numbers
        self._sorted_names: list[str] = []
        self._unheld: OrderedDict[int, tuple[float, Version]] = OrderedDict()  # and since when

    def find(self, name: str, content_id: str) -> Version | None:
        return self._by_name.get(name, {}).get(content_id)

    def versions(self, name: str) -> list[Version]:
        """Return the held versions of `name`, the one announced last first."""
        versions = reversed(self._by_name.get(name, {}).values())
        return [version for version in versions if version.holder_count()]

    def versions_with(self, content_id: str) -> list[Version]:
        """Return the held versions with this content, of all names, in the order of numbers."""
        return [each for each in self._by_id.get(content_id, {}).values() if each.holder_count()]

    def names_after(self, after: str) -> Iterator[str]:
        """Yield the names that are held and sort after `after`, in order."""
        for index in range(bisect.bisect_right(self._sorted_names, after), len(self._sorted_names)):
            if self.versions(self._sorted_names[index]):
                yield self._sorted_names[index]

    def announce(self, name: str, content_id: str, size_bytes: int, now: float) -> Version:
        """Return the version; one that is not known yet gets the next number.

        The size is taken from whoever announces first: the id decides it, so others cannot differ
        unless somebody lies, and a fetcher finds that out.
        """
        known = self.find(name, content_id)
        if known is not None:
            return known
        version = Version(self._next_number, name, content_id, size_bytes, announced=now)
        self._insert(version)
        if len(self._by_name[name]) == 1:
            bisect.insort(self._sorted_names, name)
        self._unheld[version.number] = (now, version)
        self._changes.append(VersionRecord(version.number, name, content_id, size_bytes, age_s=0))
        return version

    def add_holder(self, version: Version, member: Member, *, complete: bool) -> bool:
        """List the member as holder; say whether that is news."""
        if member.node in (version.whole if complete else version.partial):
            return False
        self.restore_holder(version, member, complete=complete)
        self._changes.append(HolderRecord(version.number, member.node, complete))
        return True

    def remove_holder(self, version: Version, member: Member, now: float) -> None:
        """Take a holder off. A version without holders is no longer told of, but see below."""
        del (version.whole if member.node in version.whole else version.partial)[member.node]
        del member.holdings[version.number]
        self.holding_count -= 1
        self._changes.append(ForgetHolder(version.number, member.node))
        if not version.holder_count():
            self._unheld[version.number] = (now, version)

    def forget_unheld(self, since: float) -> None:
        """Forget the versions that nobody has held since then.

        Not at once: a node that announces 1000 files anew says so in several updates, the first of
        which leaves most of them without holders. They keep their number, and so their order.
        """
        while self._unheld:
            number, (unheld_since, version) = next(iter(self._unheld.items()))
            if unheld_since > since:
                return
            del self._unheld[number]
            self._remove(version)
            self._changes.append(ForgetVersion(number))

    def restore(self, records: tuple[VersionRecord, ...], now: float) -> dict[int, Version]:
        """Take up what an earlier process saved; return the versions by number, all unheld yet."""
        restored = {}
        for record in records:
            announced = now - record.age_s
            version = Version(record.number, record.name, record.id, record.size_bytes, announced)
            self._insert(version)
            self._unheld[version.number] = (now, version)
            restored[version.number] = version
        self._sorted_names = sorted(self._by_name)
        return restored

    def restore_holder(self, version: Version, member: Member, *, complete: bool) -> None:
        """List the member as holder, which is saved already."""
        into, out_of = version.partial, version.whole
        if complete:
            into, out_of = version.whole, version.partial
        self.holding_count += 0 if out_of.pop(member.node, None) else 1
        into[member.node] = member
        member.holdings[version.number] = version
        self._unheld.pop(version.number, None)

    def _insert(self, version: Version) -> None:
        self._by_name.setdefault(version.name, {})[version.id] = version
        self._by_id.setdefault(version.id, {})[version.name] = version
        self._next_number = version.number + 1
        self.version_count += 1

    def _remove(self, version: Version) -> None:
        for index, first, second in (
            (self._by_name, version.name, version.id),
            (self._by_id, version.id, version.name),
        ):
            del index[first][second]
            if not index[first]:
                del index[first]
        if version.name not in self._by_name:
            del self._sorted_names[bisect.bisect_left(self._sorted_names, version.name)]
        self.version_count -= 1

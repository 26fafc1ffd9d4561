"""Which names have which versions, and which nodes hold them. Knows no leases and no messages.

Only `State.apply` calls the methods that change something. They accept anything: an entry that does
not fit (another tracker may have decided it while knowing less) changes nothing.
"""

import bisect
import functools
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from shoal.broker.tracking.changes import UNPUBLISHED, Publication, Published
from shoal.protocol.fields import MAX_NUMBER


@dataclass(slots=True, eq=False)
class Version:
    """Some content under some name, and its holders."""

    order: int  # of first announcement, among all versions
    name: str
    id: str
    size_bytes: int
    announced: float  # when, on the tracker's clock
    published: Publication = UNPUBLISHED
    is_first_hand: bool = True  # Its publisher itself has said so.
    whole: dict[str, None] = field(default_factory=dict)  # the nodes that hold all of it
    partial: dict[str, None] = field(default_factory=dict)

    @property
    def room_bytes(self) -> int:
        return room_of(self.name, self.id)

    @property
    def rank(self) -> tuple[int, int]:
        """The newest version of a name ranks highest: by its number, then by who came first."""
        return self.published.number, -self.order

    @property
    def is_held(self) -> bool:
        return bool(self.whole or self.partial)

    def holder_count(self) -> int:
        return len(self.whole) + len(self.partial)

    def is_held_by(self, node: str | None) -> bool:
        return node in self.whole or node in self.partial

    def is_held_so(self, node: str, *, complete: bool) -> bool:
        """Say whether a node holds all of it, or only part of it."""
        return node in (self.whole if complete else self.partial)

    def other_holder_count(self, node: str | None) -> int:
        """Return how many nodes hold it, not counting `node`."""
        return self.holder_count() - self.is_held_by(node)


def room_of(name: str, content_id: str) -> int:
    """Return about how many bytes a name and an id take in memory.

    One character beyond U+FFFF makes all of a text's take four bytes.
    """
    if name.isascii():
        return len(name) + len(content_id)
    last = ord(max(name))
    width = 1 if last < 1 << 8 else 2 if last < 1 << 16 else 4
    return len(name) * width + len(name.encode()) + len(content_id)


_rank = operator.attrgetter("rank")
_NOTHING: Mapping[Version, None] = {}


class Catalogue:
    """All versions, indexed by name, id and holder."""

    def __init__(self) -> None:
        self.holding_count = 0
        self.version_count = 0
        self.size_bytes = 0  # Of names and ids.
        self._bytes_of: dict[str, int] = {}  # The same of what each node holds.
        self._last_order = 0
        self._by_name: dict[str, list[Version]] = {}  # by rank, the newest last
        self._by_id: dict[str, Version | dict[str, Version]] = {}  # several: by name, in order
        self._by_node: dict[str, dict[Version, None]] = {}
        self._sorted_names: list[str] = []
        self._unheld: OrderedDict[Version, float] = OrderedDict()  # and since when
        self._refused: set[Version] = set()  # The last claim of it was void.
        self._is_filling = False

    def find(self, name: str, content_id: str) -> Version | None:
        found = self._by_id.get(content_id)
        if isinstance(found, dict):
            return found.get(name)
        return found if found is not None and found.name == name else None

    def versions(self, name: str, prefix: str = "") -> Iterator[Version]:
        """Yield the held versions of `name` whose ids begin with `prefix`, the newest first."""
        start = f"b3:{prefix}"
        for version in reversed(self._by_name.get(name, ())):
            if version.holder_count() and version.id.startswith(start):
                yield version

    def newest(self, name: str) -> Version | None:
        for version in reversed(self._by_name.get(name, ())):
            if version.whole or version.partial:
                return version
        return None

    def publishers(self, name: str) -> set[str]:
        """Return who has published versions of `name` that are not forgotten."""
        found = (version.published.publisher for version in self._by_name.get(name, ()))
        return {publisher for publisher in found if publisher is not None}

    def newest_first_hand(self, name: str) -> int | None:
        """Return the highest number of `name` that its publisher itself has told."""
        return max(
            (
                version.published.number
                for version in self._by_name.get(name, ())
                if version.is_first_hand and version.published.publisher is not None
            ),
            default=None,
        )

    def versions_with(self, content_id: str) -> Iterator[Version]:
        """Yield the held versions with this content, of all names, in order of announcement."""
        found = self._by_id.get(content_id, {})
        all_of_them = found.values() if isinstance(found, dict) else (found,)
        return (each for each in all_of_them if each.holder_count())

    def names_after(self, after: str) -> Iterator[str]:
        """Yield the names that are held and sort after `after`, in order."""
        for index in range(bisect.bisect_right(self._sorted_names, after), len(self._sorted_names)):
            if self.newest(self._sorted_names[index]):
                yield self._sorted_names[index]

    def held_by(self, node: str) -> Mapping[Version, None]:
        """Return the versions that a node holds, whole or in part."""
        return self._by_node.get(node, _NOTHING)

    def bytes_of(self, node: str) -> int:
        """Return how many bytes the names and ids take of what a node holds."""
        return self._bytes_of.get(node, 0)

    def unheld(self) -> Iterator[Version]:
        """Yield the versions that have no holder, the longest unheld first."""
        return iter(self._unheld)

    @property
    def unheld_since(self) -> float | None:
        """Since when the longest unheld version has had no holder."""
        return next(iter(self._unheld.values()), None)

    def first_unheld(self, since: float) -> Version | None:
        """Return a version that has had no holder since then."""
        for version, unheld_since in self._unheld.items():
            return version if unheld_since <= since else None
        return None

    def publish(self, published: Published, now: float) -> bool:
        """Add a version, or give a known one another number and publisher.

        A claim is judged again, as other changes may have come before it since it was decided.
        Return False if its publisher has to be told what has become of it.

        The first announcement determines the size. Later ones agree unless somebody lies, as the
        size follows from the id; and a fetcher would find out.
        """
        number, publisher = published.number, published.publisher
        said = publication = Publication(number, publisher) if number else UNPUBLISHED
        version = self.find(published.name, published.id)
        if published.is_claim:
            judged = self._judged(published.name, said, version)
            if judged is None:
                if version is not None and not version.is_held:
                    self._refused.add(version)
                return version is not None and version.published == said and version.is_held
            publication = judged
        if version is None:
            self._add(published, publication, now)
            return publication == said
        self._refused.discard(version)
        may_lower = published.is_claim and not version.is_held
        if version.published == publication:
            version.is_first_hand |= published.is_first_hand
        elif may_lower or publication.number > version.published.number:
            self._renumber(version, publication, is_first_hand=published.is_first_hand)
        return publication == said

    def is_refused(self, version: Version) -> bool:
        """Say whether the last claim of a version was void: who made it does not hold it."""
        return version in self._refused

    def _judged(self, name: str, claim: Publication, version: Version | None) -> Publication | None:
        """Return the number that a claim gets; None if another one came before it."""
        number = claim.number
        for rival in self._rivals(name, claim.number):
            is_own = rival.published.publisher == claim.publisher
            if not is_own or (version is not None and version.is_held):
                return None
            number = max(number, rival.published.number + 1)
        if version is not None and version.published.publisher == claim.publisher:
            number = max(number, version.published.number)
        return claim._replace(number=number) if number <= MAX_NUMBER else None

    def _rivals(self, name: str, number: int) -> Iterator[Version]:
        """Yield the held versions of a name that have this number or a higher one."""
        for version in reversed(self._by_name.get(name, ())):
            if version.published.number >= number:
                if version.is_held:
                    yield version
            elif not self._is_filling:  # Then they are not sorted yet.
                return

    def _add(self, published: Published, publication: Publication, now: float) -> None:
        self._last_order += 1
        version = Version(
            self._last_order,
            published.name,
            published.id,
            published.size_bytes,
            now - published.age_s,
            publication,
            published.is_first_hand,
        )
        self._index(version)
        self._unheld[version] = now
        if published.is_refused:
            self._refused.add(version)

    def _renumber(self, version: Version, publication: Publication, *, is_first_hand: bool) -> None:
        version.is_first_hand = is_first_hand
        if version.published != publication:
            self._take_out(version)
            version.published = publication
            self._put_in(version)

    def hold(self, name: str, content_id: str, node: str, *, complete: bool) -> None:
        """List a node as holder of a version."""
        version = self.find(name, content_id)
        if version is None or version in self._refused:
            return
        into, out_of = version.partial, version.whole
        if complete:
            into, out_of = out_of, into
        if node in into:
            return
        if node in out_of:
            del out_of[node]
        else:
            self.holding_count += 1
            self._by_node.setdefault(node, {})[version] = None
            self._bytes_of[node] = self.bytes_of(node) + version.room_bytes
            self._unheld.pop(version, None)
        into[node] = None

    def withdraw(self, name: str, content_id: str, node: str, now: float) -> None:
        """Remove a holder. A version without holders is no longer listed, but see `drop`."""
        version = self.find(name, content_id)
        if version is None or not version.is_held_by(node):
            return
        del (version.whole if node in version.whole else version.partial)[node]
        held = self._by_node[node]
        del held[version]
        self._bytes_of[node] -= version.room_bytes
        if not held:
            del self._by_node[node], self._bytes_of[node]
        self.holding_count -= 1
        if not version.holder_count():
            self._unheld[version] = now

    def withdraw_all(self, node: str, now: float) -> None:
        for version in tuple(self.held_by(node)):
            self.withdraw(version.name, version.id, node, now)

    def drop(self, name: str, content_id: str) -> None:
        """Forget a version that has no holders.

        Not as soon as it has none: a node that announces 1000 files again needs several updates,
        the first of which leaves most of them without a holder. They keep their number and order.
        """
        version = self.find(name, content_id)
        if version is not None and not version.holder_count():
            del self._unheld[version]
            self._refused.discard(version)
            self._remove(version)

    def versions_in_order(self) -> list[Version]:
        """Return all versions, held or not, in the order of their first announcement."""
        every = (version for versions in self._by_name.values() for version in versions)
        return sorted(every, key=operator.attrgetter("order"))

    def version_before(self, name: str, content_id: str) -> Callable[[], None]:
        """Return what makes a version what it is now, after one change of it."""
        version = self.find(name, content_id)
        if version is None:
            return functools.partial(self._unpublish, name, content_id)
        return functools.partial(
            self._put_back,
            version,
            version.published,
            self._unheld.get(version),
            is_first_hand=version.is_first_hand,
            is_refused=version in self._refused,
        )

    def holder_before(self, name: str, content_id: str, node: str) -> Callable[[], None]:
        """Return what makes a node the holder that it is now, after one change of that."""
        version = self.find(name, content_id)
        if version is not None and version.is_held_by(node):
            complete = node in version.whole
            return functools.partial(self.hold, name, content_id, node, complete=complete)
        since = self._unheld.get(version, 0.0) if version is not None else 0.0
        return functools.partial(self.withdraw, name, content_id, node, since)

    def _unpublish(self, name: str, content_id: str) -> None:
        version = self.find(name, content_id)
        if version is not None:
            self.drop(name, content_id)
            self._last_order = version.order - 1

    def _put_back(
        self,
        version: Version,
        publication: Publication,
        since: float | None,
        *,
        is_first_hand: bool,
        is_refused: bool,
    ) -> None:
        (self._refused.add if is_refused else self._refused.discard)(version)
        if self.find(version.name, version.id) is not None:
            self._renumber(version, publication, is_first_hand=is_first_hand)
            return
        assert since is not None, "only a version without holders is dropped"
        self._index(version)
        self._unheld[version] = since
        same = self._by_id[version.id]
        if isinstance(same, dict):
            in_order = sorted(same.values(), key=operator.attrgetter("order"))
            self._by_id[version.id] = {each.name: each for each in in_order}

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Sort once, at the end: inserting 1,000,000 versions one by one would take minutes."""
        self._is_filling = True
        yield
        self._is_filling = False
        for versions in self._by_name.values():
            versions.sort(key=_rank)
        self._sorted_names = sorted(self._by_name)

    def _index(self, version: Version) -> None:
        self.version_count += 1
        self.size_bytes += version.room_bytes
        same = self._by_id.get(version.id)
        if same is None:
            self._by_id[version.id] = version
        elif isinstance(same, dict):
            same[version.name] = version
        else:  # Few contents have several names: a dictionary for each would cost 232 bytes.
            self._by_id[version.id] = {same.name: same, version.name: version}
        if version.name not in self._by_name:
            self._by_name[version.name] = []
            if not self._is_filling:
                bisect.insort(self._sorted_names, version.name)
        self._put_in(version)

    def _put_in(self, version: Version) -> None:
        versions = self._by_name[version.name]
        if self._is_filling:
            versions.append(version)
        else:
            bisect.insort(versions, version, key=_rank)

    def _take_out(self, version: Version) -> None:
        versions = self._by_name[version.name]
        if self._is_filling:
            versions.remove(version)
        else:
            del versions[bisect.bisect_left(versions, version.rank, key=_rank)]

    def _remove(self, version: Version) -> None:
        self.version_count -= 1
        self.size_bytes -= version.room_bytes
        self._take_out(version)
        if not self._by_name[version.name]:
            del self._by_name[version.name]
            if not self._is_filling:
                del self._sorted_names[bisect.bisect_left(self._sorted_names, version.name)]
        same = self._by_id[version.id]
        if isinstance(same, dict) and len(same) > 1:
            del same[version.name]
        else:
            del self._by_id[version.id]

"""What a node has, whole and in part, and the bytes of it. Finds nothing itself (folder.watcher).

Each change is told as it is made, so that nobody needs to compare. May be used from any thread.
"""

import itertools
import threading
from collections.abc import Callable
from typing import Protocol

from shoal.node.folder.chunk_index import ChunkIndex
from shoal.node.folder.whole import Whole
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import Holding, Withdrawal
from shoal.protocol.titles import Title

MOST = 8  # Places of a chunk. One would do, but any may have rotted.


class Part(Protocol):
    """What is here of a thing that is not whole, as an inventory knows it (staging.partial)."""

    title: Title
    name: str
    id: ContentId
    data: bytes
    have: int

    @property
    def size_bytes(self) -> int: ...
    @property
    def chunk_count(self) -> int: ...
    @property
    def have_bytes(self) -> int: ...
    def chunk_size(self, index: int) -> int: ...
    def read(self, index: int) -> bytes: ...
    def place(self, index: int) -> list[tuple[bytes, int, int]]: ...


class Inventory:
    """Everything that a node can serve, by name and by id."""

    def __init__(self, tell: Callable[[Holding | Withdrawal], None]) -> None:
        """`tell` gets each change, in order; it must be quick, and not call the inventory."""
        self._tell = tell
        self._lock = threading.Lock()
        self._replacing = threading.Lock()  # Whole things; held for longer than the other one.
        self._chunks = ChunkIndex()  # Of all whole things, once for each id.
        self._whole: dict[str, Whole] = {}
        self.whole_bytes = 0  # Of these.
        self._by_id: dict[ContentId, Whole] = {}
        self._same: dict[ContentId, dict[str, Whole]] = {}  # More with that id, by name.
        self._partial: dict[ContentId, Part] = {}
        self._damaged: dict[ContentId, Part] = {}  # What is intact of damaged things.

    def find(self, what: str) -> Whole | Part | None:
        """Return the thing with that name or id.

        Takes no lock, as each dictionary is changed in one step: a thread that has the lock may
        itself wait for the interpreter, and serving must not wait for it.
        """
        content_id = ContentId(what)
        whole = self._whole.get(what) or self._by_id.get(content_id)
        return whole or self._partial.get(content_id) or self._damaged.get(content_id)

    def whole(self, name: str) -> Whole | None:
        """Return the whole thing of that name. Takes no lock either."""
        return self._whole.get(name)

    def part(self, name: str, content_id: str | None) -> Part | None:
        """Return the partial thing of that name, and of that version if one is given."""
        with self._lock:
            known = itertools.chain(self._partial.values(), self._damaged.values())
            parts = [part for part in known if part.name == name]
        return next((part for part in parts if content_id in {None, part.id}), None)

    @property
    def whole_count(self) -> int:
        """How many things are whole. Takes no lock, like the other counts."""
        return len(self._whole)

    @property
    def partial_count(self) -> int:
        """How many are not: they are being fetched, or are damaged."""
        return len(self._partial) + len(self._damaged)

    def names(self) -> list[str]:
        with self._lock:
            names = list(self._whole)
        return sorted(names)

    def wholes(self) -> list[Whole]:
        with self._lock:
            return list(self._whole.values())

    def places(self, digest: bytes) -> list[tuple[Whole, int]]:
        """Return things that have a chunk with this digest, some at most, and which chunk it is."""
        found: list[tuple[Whole, int]] = []
        for content_id, index in self._chunks.find(digest):
            with self._lock:
                known, more = self._by_id.get(content_id), self._same.get(content_id, {})
                same = [*([known] if known else []), *itertools.islice(more.values(), MOST - 1)]
            found += ((one, index) for one in same if one.manifest.digest(index) == digest)
            if len(found) >= MOST:
                break
        return found

    def put(self, thing: Whole) -> None:
        """Take in a whole thing, replacing what had its name.

        Raises:
            ValueError: it cannot be announced under that name.
        """
        holding = _holding(thing, complete=True)
        with self._replacing:
            with self._lock:
                old, is_new = self._whole.get(thing.name), thing.id not in self._by_id
                self._whole[thing.name] = thing
                self.whole_bytes += thing.size_bytes - (old.size_bytes if old is not None else 0)
                self._add_id(thing)
                if old is not None and old.id != thing.id:
                    self._remove_id(old)
                self._tell(holding)  # First: nobody may believe in between that nothing is held.
                if old is not None and old.id != thing.id:
                    self._tell_of(thing.name, old.id)
            if is_new:
                self._chunks.add(thing.id, thing.manifest)
            self._forget_chunks(old)

    def remove(self, name: str, content_id: str | None = None) -> None:
        """Forget the whole thing of that name, if it is here and, if one is given, has that id."""
        with self._replacing:
            with self._lock:
                thing = self._whole.get(name)
                if thing is None or content_id not in {None, thing.id}:
                    return
                del self._whole[name]
                self.whole_bytes -= thing.size_bytes
                self._remove_id(thing)
                self._tell_of(name, thing.id)
            self._forget_chunks(thing)

    def entitle(self, name: str, title: Title) -> None:
        """Note which version a thing of that name and content is, if it is here."""
        content_id = ContentId(title.id)
        with self._lock:
            thing = self._whole.get(name)
            if thing is not None and thing.id == content_id:
                thing.title = title
            for parts in (self._partial, self._damaged):
                part = parts.get(content_id)
                if part is not None and part.name == name:
                    part.title = title
            self._tell_of(name, content_id)

    def put_partial(self, partial: Part) -> bool:
        """Take in a thing that is being fetched; refuse, and say so, if it is one already."""
        with self._lock:
            if partial.id in self._partial:
                return False
            self._partial[partial.id] = partial
            self._tell_of(partial.name, partial.id)
        return True

    def fetched(self) -> list[Part]:
        """Return the things that are being fetched now."""
        with self._lock:
            return list(self._partial.values())

    def is_fetched(self, content_id: ContentId) -> bool:
        """Say whether it is being fetched now."""
        with self._lock:
            return content_id in self._partial

    def unless_fetched(self, content_id: ContentId, do: Callable[[], None]) -> bool:
        """Do something quick that must not happen during a fetch; say whether it was done."""
        with self._lock:
            may_be = content_id not in self._partial
            if may_be:
                do()
        return may_be

    def remove_partial(self, content_id: ContentId) -> None:
        with self._lock:
            part = self._partial.pop(content_id, None)
            if part is not None:
                self._tell_of(part.name, part.id)

    def put_damaged(self, part: Part) -> None:
        """Take in what is intact of a damaged thing, which is served while none is fetched."""
        with self._lock:
            self._damaged[part.id] = part
            self._tell_of(part.name, part.id)

    def remove_damaged(self, name: str) -> bool:
        """Forget what is left of a damaged thing; say whether there was any."""
        with self._lock:
            part = next((one for one in self._damaged.values() if one.name == name), None)
            if part is not None:
                del self._damaged[part.id]
                self._tell_of(part.name, part.id)
        return part is not None

    def _add_id(self, thing: Whole) -> None:
        if self._by_id.setdefault(thing.id, thing).name == thing.name:
            self._by_id[thing.id] = thing
        else:
            self._same.setdefault(thing.id, {})[thing.name] = thing

    def _remove_id(self, thing: Whole) -> None:
        same = self._same.get(thing.id, {})
        if thing.name in same:
            del same[thing.name]
        elif same:
            self._by_id[thing.id] = same.pop(next(iter(same)))
        else:
            del self._by_id[thing.id]
        if not same:
            self._same.pop(thing.id, None)

    def _forget_chunks(self, thing: Whole | None) -> None:
        """Forget the chunks of a thing that has gone, unless it is here under another name."""
        if thing is not None and thing.id not in self._by_id:
            self._chunks.remove(thing.id, thing.manifest)

    def _tell_of(self, name: str, content_id: ContentId) -> None:
        """Tell what is held under a name and an id now; a partial thing only if no whole one is."""
        thing = self._whole.get(name)
        parts = self._partial.get(content_id), self._damaged.get(content_id)
        part = next((one for one in parts if one is not None and one.name == name), None)
        if thing is not None and thing.id == content_id:
            self._tell(_holding(thing, complete=True))
        elif part is not None:
            self._tell(_holding(part, complete=False))
        else:
            self._tell(Withdrawal(name, content_id))


def _holding(thing: Whole | Part, *, complete: bool) -> Holding:
    title = thing.title
    told = title.version, title.publisher, title.claims and complete
    return Holding(thing.name, thing.id, thing.size_bytes, complete, *told)

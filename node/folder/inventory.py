"""What a node has, whole and in part, and the bytes of it. Finds nothing itself (see watcher.py).

May be used from any thread.
"""

import threading
from collections.abc import Callable
from typing import Protocol

from shoal.node.folder.whole import Whole
from shoal.protocol.manifest import ContentId
from shoal.protocol.messages import Holding
from shoal.protocol.titles import Title


class Part(Protocol):
    """A thing that is being fetched, as an inventory knows it (staging.partial)."""

    title: Title
    name: str
    id: ContentId
    data: bytes
    have: int
    gives_way: bool

    @property
    def size_bytes(self) -> int: ...
    @property
    def chunk_count(self) -> int: ...
    @property
    def have_bytes(self) -> int: ...
    def asked(self, node: str, have: bytes) -> None: ...
    def read(self, index: int) -> bytes: ...


class Inventory:
    """Everything that a node can serve, by name and by id."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        """`on_change` is called after each change, from the thread that made it."""
        self._on_change = on_change
        self._lock = threading.Lock()
        self._whole: dict[str, Whole] = {}
        self._whole_by_id: dict[ContentId, dict[str, Whole]] = {}
        self._partial: dict[ContentId, Part] = {}

    def find(self, what: str) -> Whole | Part | None:
        """Return what is here under a name or an id."""
        with self._lock:
            named = self._whole.get(what)
            if named is not None:
                return named
            same = self._whole_by_id.get(ContentId(what))
            if same:
                return next(iter(same.values()))
            return self._partial.get(ContentId(what))

    def whole(self, name: str) -> Whole | None:
        """Return the whole thing of that name."""
        with self._lock:
            return self._whole.get(name)

    def part(self, name: str, content_id: str | None) -> Part | None:
        """Return what is here in part under a name, of that version if one is meant."""
        with self._lock:
            parts = [part for part in self._partial.values() if part.name == name]
        return next((part for part in parts if content_id in {None, part.id}), None)

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._whole)

    def wholes(self) -> list[Whole]:
        with self._lock:
            return list(self._whole.values())

    def holdings(self) -> list[Holding]:
        """Return what to announce."""
        with self._lock:
            whole = [_holding(one, complete=True) for _, one in sorted(self._whole.items())]
            known = {(holding.name, holding.id) for holding in whole}
            return whole + [
                _holding(one, complete=False)
                for one in self._partial.values()
                if (one.name, one.id) not in known
            ]

    def put(self, thing: Whole) -> None:
        """Take in a whole thing, in place of what had its name.

        Raises:
            ValueError: it cannot be announced under that name.
        """
        _holding(thing, complete=True)
        with self._lock:
            self._take_out(thing.name)
            self._whole[thing.name] = thing
            self._whole_by_id.setdefault(thing.id, {})[thing.name] = thing
        self._on_change()

    def remove(self, name: str) -> None:
        """Forget the whole thing of that name, if there is one."""
        with self._lock:
            was_there = self._take_out(name)
        if was_there:
            self._on_change()

    def entitle(self, name: str, title: Title) -> None:
        """Note which version a thing of that name and content is, if it is here."""
        with self._lock:
            thing = self._whole.get(name)
            is_it = thing is not None and thing.id == title.id
            if thing is not None and is_it:
                thing.title = title
            partial = self._partial.get(ContentId(title.id))
            if partial is not None and partial.name == name:
                partial.title = title
        self._on_change()

    def refuse(self, name: str, content_id: str) -> None:
        """Forget the thing of that name and content, which is not to be shared."""
        with self._lock:
            thing = self._whole.get(name)
            is_it = thing is not None and thing.id == content_id
            if is_it:
                self._take_out(name)
        if is_it:
            self._on_change()

    def heard(self, what: str, node: str, have: bytes) -> None:
        """Pass on what an asker has of a thing that is being fetched here."""
        partial = self._partial.get(ContentId(what))
        if partial is not None:
            partial.asked(node, have)

    def put_partial(self, partial: Part) -> bool:
        """Take in a thing that is being fetched; refuse, and say so, if it is one already."""
        with self._lock:
            known = self._partial.get(partial.id)
            if known is not None and not known.gives_way:
                return False
            self._partial[partial.id] = partial
        self._on_change()
        return True

    def fetched(self) -> list[Part]:
        """Return what is being fetched now."""
        with self._lock:
            return [one for one in self._partial.values() if not one.gives_way]

    def is_fetched(self, content_id: ContentId) -> bool:
        """Say whether it is being fetched now."""
        with self._lock:
            return self._is_fetched(content_id)

    def unless_fetched(self, content_id: ContentId, do: Callable[[], None]) -> bool:
        """Do something quick that must not happen during a fetch; say whether it was done."""
        with self._lock:
            may_be = not self._is_fetched(content_id)
            if may_be:
                do()
        return may_be

    def remove_partial(self, content_id: ContentId) -> None:
        with self._lock:
            self._partial.pop(content_id, None)
        self._on_change()

    def remove_part(self, part: Part) -> bool:
        """Forget that part, unless another one has taken its place; say whether it was there."""
        with self._lock:
            is_there = self._partial.get(part.id) is part
            if is_there:
                del self._partial[part.id]
        if is_there:
            self._on_change()
        return is_there

    def _is_fetched(self, content_id: ContentId) -> bool:
        partial = self._partial.get(content_id)
        return partial is not None and not partial.gives_way

    def _take_out(self, name: str) -> bool:
        file = self._whole.pop(name, None)
        if file is None:
            return False
        same = self._whole_by_id[file.id]
        del same[name]
        if not same:
            del self._whole_by_id[file.id]
        return True


def _holding(thing: Whole | Part, *, complete: bool) -> Holding:
    title = thing.title
    told = title.version, title.publisher, title.claims and complete
    return Holding(thing.name, thing.id, thing.size_bytes, complete, *told)

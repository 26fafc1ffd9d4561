"""What readers on this node wait for, and whether anything has come. Has no sockets."""

import collections
import contextlib
import threading
from collections.abc import Iterator

from shoal.node.fetching.steps import ChunksUrged
from shoal.protocol.manifest import ContentId
from shoal.wire.wake import Wake

NOTHING = ChunksUrged(only=())


class Attention:
    """Fetches look here for what is to come first, readers for news. May be used by all threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0  # Of news.
        self._urged: dict[ContentId, ChunksUrged] = {}
        self._all: collections.Counter[ContentId] = collections.Counter()  # Who wants all of it.
        self._wakes: list[Wake] = []

    def urge(self, content_id: ContentId, urged: ChunksUrged = NOTHING) -> None:
        """Have these chunks of a thing come first, and no others, if it is being fetched."""
        with self._changed:
            if self._urged.get(content_id, NOTHING) == urged:
                return
            if urged != NOTHING:
                self._urged[content_id] = urged
            else:
                del self._urged[content_id]
            self._wake()

    def of(self, content_id: ContentId | None, *, on_demand: bool) -> ChunksUrged:
        """Return which chunks of a thing are to come first. Takes no lock.

        Only if it is fetched `on_demand`, and nobody wants all of it, no others are to come.
        """
        urged = self._urged.get(content_id, NOTHING) if content_id is not None else NOTHING
        if on_demand and not (content_id is not None and self.is_wanted(content_id)):
            return urged
        return ChunksUrged(urged.stretches)

    @contextlib.contextmanager
    def wanting(self, content_id: ContentId) -> Iterator[None]:
        """Have all of a thing come meanwhile, even if it is fetched on demand."""
        with self._changed:
            self._all[content_id] += 1
            self._wake()
        try:
            yield
        finally:
            with self._changed:
                self._all[content_id] -= 1
                self._all += collections.Counter()  # Without those that are 0.
                self._wake()

    def is_wanted(self, content_id: ContentId) -> bool:
        """Say whether anybody wants all of it. Takes no lock."""
        return self._all.get(content_id, 0) > 0

    @contextlib.contextmanager
    def listening(self, wake: Wake) -> Iterator[None]:
        """Set `wake`, meanwhile, whenever other chunks are urged."""
        with self._changed:
            self._wakes.append(wake)
        try:
            yield
        finally:
            with self._changed:
                self._wakes.remove(wake)

    @property
    def count(self) -> int:
        """How often there were news: see `wait`."""
        return self._count

    def news(self) -> None:
        """Note that something has come, or will come no more."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, count: int, timeout_s: float) -> None:
        """Wait until there have been more news than `count`, or so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > count, timeout_s)

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

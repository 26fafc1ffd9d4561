"""What readers on this node wait for, and whether anything has come. Has no sockets."""

import contextlib
import threading
from collections.abc import Iterator

from shoal.protocol.manifest import ContentId
from shoal.wire.wake import Wake

Stretches = tuple[tuple[int, int], ...]  # Of chunks, as in node.fetching.steps.ChunksUrged.


class Attention:
    """Fetches look here for what is to come first, readers for news. May be used by all threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0  # Of news.
        self._urged: dict[ContentId, Stretches] = {}
        self._wakes: list[Wake] = []

    def urge(self, content_id: ContentId, stretches: Stretches) -> None:
        """Have these chunks of a thing come first, and no others, if it is being fetched."""
        with self._changed:
            if self._urged.get(content_id, ()) == stretches:
                return
            if stretches:
                self._urged[content_id] = stretches
            else:
                del self._urged[content_id]
            for wake in self._wakes:
                wake.set()

    def of(self, content_id: ContentId | None) -> Stretches:
        """Return which chunks of a thing are to come first. Takes no lock."""
        return self._urged.get(content_id, ()) if content_id is not None else ()

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

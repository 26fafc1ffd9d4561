"""What all fetches of a node have received since it was started, as sums. Fetches nothing."""

import collections
import contextlib
import threading
from collections.abc import Iterator
from typing import NamedTuple

from shoal.node.fetching.report import WAITS_S, Tally
from shoal.system.figures import Named

MOST_PEERS = 1000  # With sums of their own.


class Received(NamedTuple):
    """The sums, of fetches that are over and of those that are under way."""

    by_peer: dict[str, int]  # Bytes that were right and missing.
    chunks: dict[str, int]  # By what became of them: ok, wrong or duplicate.
    reused_bytes: int
    retries: int
    lost_holders: int
    waits: list[int]  # Right chunks, by how long their replies took: classes as of WAITS_S …
    waited_s: float  # … and of all together.


class Totals:
    """Adds the tallies of fetches. May be used from any thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._running: dict[int, Tally] = {}
        self._counted: dict[int, dict[str, int]] = {}  # Of each: what is in the sums, by peer.
        self._by_peer = Named(MOST_PEERS)
        self._over: collections.Counter[str] = collections.Counter()
        self._waits_over = [0] * (len(WAITS_S) + 1)
        self._waited_over_s = 0.0

    @contextlib.contextmanager
    def counting(self, tally: Tally) -> Iterator[None]:
        """Count what a fetch receives meanwhile."""
        with self._guard:
            self._running[id(tally)] = tally
            self._counted[id(tally)] = {}
        try:
            yield
        finally:
            with self._guard:
                self._take_over(tally)
                del self._running[id(tally)], self._counted[id(tally)]
                self._over.update(_numbers(tally))
                self._waits_over = list(map(sum, zip(self._waits_over, tally.waits, strict=True)))
                self._waited_over_s += tally.waited_s

    def read(self) -> Received:
        """Return the sums as they are now."""
        with self._guard:
            numbers = collections.Counter(self._over)
            for tally in self._running.values():
                self._take_over(tally)
                numbers.update(_numbers(tally))
            by_peer = self._by_peer.read()
            running = [tuple(tally.waits) for tally in self._running.values()]
            waits = list(map(sum, zip(self._waits_over, *running, strict=True)))
            waited_s = self._waited_over_s + sum(one.waited_s for one in self._running.values())
        chunks = {result: numbers[result] for result in ("ok", "wrong", "duplicate")}
        others = numbers["reused_bytes"], numbers["retries"], numbers["lost_holders"]
        return Received(by_peer, chunks, *others, waits, waited_s)

    def _take_over(self, tally: Tally) -> None:
        """Add what has come since the last time."""
        counted = self._counted[id(tally)]
        for peer, size_bytes in dict(tally.by_holder).items():
            self._by_peer.add(peer, size_bytes - counted.get(peer, 0))
            counted[peer] = size_bytes


def _numbers(tally: Tally) -> dict[str, int]:
    return {
        "ok": tally.right_chunks,
        "wrong": tally.wrong_chunks,
        "duplicate": tally.duplicate_chunks,
        "reused_bytes": tally.reused_bytes,
        "retries": tally.retries,
        "lost_holders": tally.lost_holders,
    }

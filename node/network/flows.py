"""What the kernel knows of the connections that something is being sent over. Sets nothing."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from shoal.node.serving.background import Sample, unsmoothed
from shoal.node.serving.steps import Source


class Gauge(Protocol):
    """Where a connection can be looked at."""

    def flow(self, source: Source) -> tuple[float, int] | None:
        """Return its usual round trip in seconds and how many bytes have arrived; None: gone."""


class _Seen(NamedTuple):
    arrived_bytes: int
    usual_s: float
    at: float


class Flows:
    """Turns counts into rates, and the kernel's averages into what has happened since."""

    def __init__(self) -> None:
        self._seen: dict[Source, _Seen] = {}

    def samples(self, gauge: Gauge, sources: Iterable[Source], now: float) -> list[Sample]:
        """Return what those show over which something has arrived since the last time."""
        before, self._seen, samples = self._seen, {}, list[Sample]()
        for source in sources:
            flow = gauge.flow(source)
            if flow is None:
                continue
            usual_s, count = flow
            seen = self._seen[source] = before.get(source, _Seen(count, usual_s, now))
            arrived_bytes = count - seen.arrived_bytes
            if arrived_bytes > 0:
                self._seen[source] = _Seen(count, usual_s, now)
                latest_s = unsmoothed(seen.usual_s, usual_s, arrived_bytes)
                samples.append(Sample(source.address, latest_s, arrived_bytes / (now - seen.at)))
        return samples

"""The HTTP port of a tracker or node: its figures for Prometheus, and whether it is well.

Imported only where that is wanted: prometheus_client takes 30 ms.
"""

import itertools
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from shoal.config.metrics import MetricsPlace
from shoal.protocol.errors import UnavailableError
from shoal.protocol.names import display
from shoal.system.figures import Figure, Histogram, NoFiguresError
from shoal.wire.http_port import HttpPort, Reply

log = logging.getLogger("shoal.http")

FRESH_S = 0.2  # Figures are made anew after this: who asks faster must not slow the node down.
PATHS = "/metrics", "/healthz", "/readyz"


class Condition(Protocol):
    """How a process is, as its node or its tracker says. Any of these may raise."""

    def figures(self) -> Sequence[Figure]: ...
    def ailments(self) -> list[str]: ...
    def unready(self) -> list[str]: ...


class Metrics:
    """Answers for one process, from `open` to `close`."""

    def __init__(self, condition: Condition) -> None:
        self._condition = condition
        self._port = HttpPort(self.answer)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Figures(condition))
        ProcessCollector(registry=self._registry)
        self._made: dict[str, tuple[float, Reply]] = {}  # When, and what, by kind of content.

    def open(self, place: MetricsPlace) -> None:
        """Listen at a place.

        Raises:
            UnavailableError: that is impossible.
        """
        try:
            port = self._port.open(*place)
        except OSError as error:
            message = f"cannot serve metrics at {place}: {error.strerror or error}"
            remedy = "name another place with `metrics` in the cluster file, or --metrics"
            raise UnavailableError(f"{message}; {remedy}") from None
        log.info("metrics at http://%s/metrics", MetricsPlace(place.host, port))

    def close(self) -> None:
        """Stop answering."""
        self._port.close()

    def answer(self, path: str, accepted: str) -> Reply:
        """Answer a visitor."""
        match path:
            case "/metrics":
                return self._figures(accepted)
            case "/healthz":
                return _verdict(self._condition.ailments())
            case "/readyz":
                return _verdict(self._condition.ailments() or self._condition.unready())
            case "/":
                return Reply(200, "".join(f"{one}\n" for one in PATHS).encode())
            case _:
                return Reply(404, f"there are {', '.join(PATHS)}\n".encode())

    def _figures(self, accepted: str) -> Reply:
        encode, kind = choose_encoder(accepted)
        made_at, made = self._made.get(kind, (0.0, None))
        now = time.monotonic()
        if made is not None and now < made_at + FRESH_S:
            return made
        try:
            made = Reply(200, encode(self._registry), kind)
        except NoFiguresError as error:
            return _verdict([str(error)])
        self._made = {kind: (now, made)}
        return made


class _Figures(Collector):
    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def collect(self) -> Iterator[Metric]:
        return map(_metric, self._condition.figures())

    def describe(self) -> Iterable[Metric]:
        return ()  # Else they would be collected now, before anything runs.


def _metric(family: Figure) -> Metric:
    if isinstance(family, Histogram):
        counts = itertools.accumulate(family.counts)
        bounds = [*map(str, family.bounds), "+Inf"]
        buckets = list(zip(bounds, counts, strict=True))
        return HistogramMetricFamily(family.name, family.meaning, buckets, family.total)
    is_counter = family.kind == "counter"
    metric = (CounterMetricFamily if is_counter else GaugeMetricFamily)(
        family.name, family.meaning, labels=family.labels
    )
    for labels, value in family.values.items():
        metric.add_metric([display(one) for one in labels], float(value))
    return metric


def _verdict(troubles: list[str]) -> Reply:
    text = "\n".join(troubles or ["ok"])
    return Reply(503 if troubles else 200, f"{text}\n".encode())

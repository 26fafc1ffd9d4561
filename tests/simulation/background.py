"""A link with one queue, ordinary TCP and nodes in background mode, as fluids that flow into it.

TCP is as in RFC 5681: its window grows until the queue overflows, and is then cut to 0.7 (as CUBIC
does). A round trip is what the way takes, and what the queue holds; it is measured smoothed.
"""

from collections.abc import Callable

from shoal.node.serving.background import SAMPLE_S, START, Background, Sample

STEP_S = 0.001
SEGMENT_BYTES = 1448
SMOOTH = 0.2  # In a step: the kernel's average over eight acknowledgements.


class Link:
    """So many bytes/s; `queue_s` is how long it takes to empty its whole queue."""

    def __init__(self, rate: float, way_s: float = 0.0004, queue_s: float = 0.05) -> None:
        self.rate = rate
        self.way_s = way_s
        self.most_bytes = queue_s * rate
        self.queue_bytes = 0.0

    @property
    def round_trip_s(self) -> float:
        return self.way_s + self.queue_bytes / self.rate


class Tcp:
    """An ordinary flow with as much to send as the link takes, while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self.window_bytes = 10.0 * SEGMENT_BYTES
        self._cut_at = 0.0

    def rate(self, link: Link) -> float:
        return self.window_bytes / link.round_trip_s if self.is_on else 0.0

    def step(self, link: Link, now: float) -> None:
        if link.queue_bytes >= link.most_bytes and now > self._cut_at + link.round_trip_s:
            self.window_bytes = max(0.7 * self.window_bytes, 2.0 * SEGMENT_BYTES)
            self._cut_at = now
        else:
            self.window_bytes += SEGMENT_BYTES * STEP_S / link.round_trip_s


class Node:
    """A node in background mode, which sends to one host."""

    def __init__(self, name: str, noise: Callable[[], float]) -> None:
        """`noise` returns by how many seconds a round trip seems longer than it is."""
        self._name = name
        self._noise = noise
        self.background = Background()
        self.allowed = float(START)
        self.delivered_bytes = 0.0
        self._sampled_bytes = 0.0
        self._round_trip_s: float | None = None
        self._sample_at = 0.0

    def step(self, link: Link, now: float) -> None:
        measured = link.round_trip_s + self._noise()
        before = measured if self._round_trip_s is None else self._round_trip_s
        self._round_trip_s = before + SMOOTH * (measured - before)
        if now < self._sample_at:
            return
        self._sample_at = now + SAMPLE_S
        delivered = (self.delivered_bytes - self._sampled_bytes) / SAMPLE_S
        self._sampled_bytes = self.delivered_bytes
        self.background.sampled([Sample(self._name, self._round_trip_s, delivered)], now)
        to_host = self.background.rates_to()[self._name]
        self.allowed = float(min(self.background.rate, to_host))


class Scene:
    """One link and all that goes over it; `run` returns what each had of it."""

    def __init__(self, link: Link, nodes: list[Node]) -> None:
        self.link = link
        self.nodes = nodes
        self.tcp = Tcp()
        self.now = 0.0

    def run(self, seconds: float) -> tuple[float, float]:
        """Let time pass; return which share of the link TCP had, and which all nodes together."""
        link, until = self.link, self.now + seconds
        tcp_bytes = nodes_bytes = 0.0
        while self.now < until:
            offers = [self.tcp.rate(link), *(node.allowed for node in self.nodes)]
            coming = sum(offers) * STEP_S
            waiting = link.queue_bytes + coming
            leaving = min(waiting, link.rate * STEP_S)
            part = leaving / coming if coming else 0.0
            tcp_bytes += offers[0] * STEP_S * part
            for node, offer in zip(self.nodes, offers[1:], strict=True):
                node.delivered_bytes += offer * STEP_S * part
                nodes_bytes += offer * STEP_S * part
            link.queue_bytes = min(waiting - leaving, link.most_bytes)
            self.tcp.step(link, self.now)
            for node in self.nodes:
                node.step(link, self.now)
            self.now += STEP_S
        return tcp_bytes / (link.rate * seconds), nodes_bytes / (link.rate * seconds)

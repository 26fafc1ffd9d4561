"""How much flows in the whole cluster, and how much could. Measures nothing itself."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from shoal.dashboard.picture import Row

KEPT_S = 900.0  # What a page that is opened now can show of the past.
LEAST_GAP_S = 0.9


class Sample(NamedTuple):
    """The cluster at one moment; rates in bytes/s."""

    at: float
    received: int
    sent: int
    bound: int | None  # What the links of the hosts that receive can take; None: unknown.
    receivers: int


def sample(rows: Iterable[Row], link_rate: int, now: float) -> Sample:
    """Return what flows by the nodes' own words.

    Args:
        rows: of the nodes (picture.nodes).
        link_rate: of a host that does not tell its card's, in bytes/s; 0 if that is unknown.
        now: the time.
    """
    every = list(rows)
    receiving = [row for row in every if row["fetching"]]
    bounds: dict[str, int] = {}
    for row in receiving:  # Nodes of one host share its link.
        bounds[row["host"]] = row.get("link") or link_rate
    hosts = {row["host"] for row in every if row["state"] == "alive"}
    is_known = bool(bounds) and all(bounds.values()) and len(hosts) > 1  # One alone has no link.
    received, sent = sum(row["got"] for row in every), sum(row["sent"] for row in every)
    return Sample(now, received, sent, sum(bounds.values()) if is_known else None, len(receiving))


class History:
    """The samples of the last quarter of an hour."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque()

    def add(self, one: Sample) -> bool:
        """Take in a sample; return False if the last one is too recent for another."""
        if self.samples and one.at - self.samples[-1].at < LEAST_GAP_S:
            return False
        self.samples.append(one)
        while one.at - self.samples[0].at > KEPT_S:
            self.samples.popleft()
        return True

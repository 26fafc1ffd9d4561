"""Rates: which limits are drawn, how they change, and whether every node keeps to its own."""

import collections
import math
import random
from typing import TYPE_CHECKING, Any

from shoal.broker.tracking.lending import Lending
from shoal.node.network.front import Front
from shoal.node.network.rates import RateLimits, Rates, minute_of_day
from shoal.node.serving import steps
from shoal.node.serving.borrowing import HELD_S
from shoal.protocol.bucket import BURST_S
from shoal.protocol.rates import Hours, Timetable, lesser

from tests.simulation.faults.threads import the_loop
from tests.simulation.faults.trace import Finding

if TYPE_CHECKING:
    from tests.simulation.faults.cluster import Cluster
    from tests.simulation.faults.story import Story

SHARE = 1 / 3  # Of the seeds.
OWN = (None, 100_000, 300_000, 1_000_000)  # In bytes/s; less cannot be set.
TOGETHER = (None, 150_000, 600_000)
BACKGROUND_SHARE = 0.3  # Of the nodes.
LATE_S = 1.1  # Nodes look at the clock every second.
BOUND_SHARE = 0.5  # Of a limit: who uses that much for a second is bound by it.
DOES = SENDS, REQUESTS = "sends", "requests"
MINUTES = 24 * 60

_clusters: list["Cluster"] = []
_rates: dict[str, "WatchedRates"] = {}  # Of the nodes that run, by name.


def begin(cluster: "Cluster") -> None:
    _clusters[:] = [cluster]
    _rates.clear()


class Meter:
    """What passes at one place, and how much of it is not paid for yet at the limit there."""

    def __init__(self) -> None:
        self.largest_bytes = 0
        self._debt_bytes = 0.0
        self._at = 0.0
        self._rates: collections.deque[tuple[float, float]] = collections.deque()  # Of late.

    def allow(self, rate: int | None, now: float) -> float:
        """Note what is allowed at a time, in bytes/s; return what has not been paid for by then.

        A limit that becomes stricter may be noticed LATE_S later. Where there was none, all has
        been paid for until it is noticed, and what it allows in BURST_S has been saved up: a
        bucket owes nothing while it has no limit, and is full when it gets one.
        """
        rates, began = self._rates, self._at
        rates.append((now, math.inf if rate is None else rate))
        while len(rates) > 1 and rates[1][0] <= began - LATE_S:
            rates.popleft()
        best = max(one for _, one in rates)
        self._at = now
        if best == math.inf:
            limits = [one for _, one in rates if one < math.inf]
            self._debt_bytes = -max(limits, default=0.0) * BURST_S
        else:
            self._debt_bytes = max(self._debt_bytes - best * (now - began), -best * BURST_S)
        return self._debt_bytes

    def passes(self, size_bytes: int) -> None:
        """Note what begins to pass, or with a negative size, what does not after all."""
        self._debt_bytes += size_bytes
        self.largest_bytes = max(self.largest_bytes, size_bytes)


class WatchedRates(Rates):
    """Measures what a node sends and requests, by its limits as they were set and lent."""

    def __init__(self, limits: RateLimits) -> None:
        super().__init__(limits)
        process = the_loop().process()
        assert process is not None
        self._host = process.host
        self._set = limits
        self._lent: int | None = None  # By the tracker, …
        self._held_until = 0.0  # … and until when that counts, whatever the node's part is.
        self._sent, self._asked = Meter(), Meter()
        _rates[self._host] = self

    def set(self, limits: RateLimits) -> None:
        super().set(limits)
        self._note()
        if lesser(limits.part, self._set.part) != self._set.part:
            self._held_until = the_loop().now
        self._set = limits
        self._note()

    def lent(self, rate: int | None, now: float) -> None:
        super().lent(rate, now)
        self._note()
        self._lent, self._held_until = rate, the_loop().now + HELD_S
        self._note()
        if rate is not None:
            _clusters[0].hits["a rate is lent"] += 1

    def sends(self, size_bytes: int) -> None:
        """Require that what was sent before is paid for, and note what is sent now."""
        limit = self._up()
        self._require(SENDS, self._sent, limit, size_bytes)

    def asks_for(self, size_bytes: int) -> None:
        """Require the same of what is requested; a negative size: it will not come."""
        if size_bytes < 0:
            self._asked.passes(size_bytes)
        else:
            limit = self._set.down.at(minute_of_day())
            self._require(REQUESTS, self._asked, limit, size_bytes)

    def _up(self) -> int | None:
        return lesser(self._set.up.at(minute_of_day()), self._loan())

    def _loan(self) -> int | None:
        """Return what a node may send of what all may."""
        if self._lent is not None and the_loop().now < self._held_until:
            return self._lent
        return lesser(self._set.part, self._lent)

    def _note(self) -> None:
        self._sent.allow(self._up(), the_loop().now)

    def _require(self, does: str, meter: Meter, limit: int | None, size_bytes: int) -> None:
        debt_bytes = meter.allow(limit, the_loop().now)
        if debt_bytes > meter.largest_bytes:
            text = f"{self._host} {does} {debt_bytes:.0f} bytes more than {limit} bytes/s allow"
            raise Finding("rates", text)
        if limit is not None and debt_bytes > -BOUND_SHARE * BURST_S * limit:
            _clusters[0].hits[f"bound by a limit: {does}"] += 1
        meter.passes(size_bytes)


def requested(host: str, size_bytes: int) -> None:
    """Note what a node requests."""
    _rates[host].asks_for(size_bytes)


def replied(front: Front, action: steps.SendReply) -> steps.ReplyLeft | None:
    """Stand in for `Front.reply`."""
    process = the_loop().process()
    assert process is not None
    if action.payload is not None and action.number in front._letters:
        _rates[process.host].sends(len(action.payload))
    return _reply(front, action)


_reply = Front.reply


def require_lent(lending: Lending) -> None:
    """Require that no more is lent than there is."""
    lent = sum(lending._shares.values())
    if lending._budget is not None and lent > lending._budget:
        raise Finding("rates", f"the tracker lends {lent} bytes/s of {lending._budget}")


REPLACED: list[tuple[Any, str, Any]] = [(Front, "reply", replied)]


# What is drawn.


def draw(story: "Story") -> None:
    """Set limits, in a share of the seeds, and draw how they change."""
    cluster, rng = story.cluster, story.cluster.rates_rng
    if rng.random() >= SHARE:
        return
    cluster.hits["limits"] += 1
    cluster.rate_together = rng.choice(TOGETHER)
    for node in cluster.nodes.values():
        node.limits = _drawn(cluster, rng)
    for _ in range(rng.choice((0, 1, 3))):
        act = rng.choice(ACTS)
        cluster.loop.at(rng.uniform(1.0, 60.0), _have, story, act)


def _have(story: "Story", act: Any) -> None:
    story.cluster.hits[act.__name__.replace("_", " ")] += 1
    act(story)


def _drawn(cluster: "Cluster", rng: random.Random) -> RateLimits:
    is_background = rng.random() < BACKGROUND_SHARE
    return RateLimits(_timetable(rng), _timetable(rng), is_background, _part(cluster))


def _part(cluster: "Cluster") -> int | None:
    together = cluster.rate_together
    return None if together is None else together // len(cluster.nodes)


def _timetable(rng: random.Random) -> Timetable:
    """Return a limit, perhaps with another one for a minute that is soon to come."""
    usual = rng.choice(OWN)
    if rng.random() < 0.7:
        return Timetable(usual)
    begin = (minute_of_day() + rng.randrange(2)) % MINUTES
    return Timetable(usual, (Hours(begin, (begin + 1) % MINUTES, rng.choice(OWN)),))


def change_limits(story: "Story") -> None:
    """Give a node other limits, and send SIGHUP."""
    cluster, rng = story.cluster, story.cluster.rates_rng
    node = cluster.nodes[rng.choice(sorted(cluster.nodes))]
    node.limits = _drawn(cluster, rng)
    cluster.trace.note(f"{node.name} has other limits")
    node.reload()


def change_rate_of_all(story: "Story") -> None:
    """Change what all nodes may send together, and send SIGHUP to everybody."""
    cluster, rng = story.cluster, story.cluster.rates_rng
    cluster.rate_together = rng.choice(TOGETHER)
    cluster.trace.note(f"all may send {cluster.rate_together} bytes/s")
    cluster.tracker.reload()
    for node in cluster.nodes.values():
        own = node.limits
        node.limits = RateLimits(own.up, own.down, own.background, _part(cluster))
        node.reload()


ACTS = (change_limits, change_rate_of_all)

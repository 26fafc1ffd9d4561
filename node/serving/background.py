"""How fast a node may send without others noticing: by how long what it sends waits in queues.

As LEDBAT (RFC 6817) has it: a round trip that takes longer than the shortest one waits in a queue.
Ordinary TCP fills that queue until it overflows; we keep it nearly empty, and so take only what is
left. LEDBAT++ adds that now and then we send less, or the shortest round trip would be forgotten.
Measures and sends nothing.

One controller is for our uplink: what all connections have in common is its queue. One more for
each host that we send to: its own link may be busy while ours is not.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

SAMPLE_S = 0.05
TARGET_S = 0.0045  # In queues. A busy machine answers 1 or 2 ms late; ordinary TCP causes 40.
QUIET = 0.6  # Of the target: less counts as no queue.
QUIET_SAMPLES = 3  # In a row; then the rate grows more quickly.
GAIN, FAST_GAIN = 0.06, 0.3  # How much of the rate is added in a sample at most.
CUT, MOST_CUT = 0.2, 0.3  # What is taken away if the target is missed by all of it, and at most.
USED = 0.5  # What is not even half used does not grow.
MOST_PASSED = 4.0  # As many samples' time counts for one, if nothing arrived for longer.
START = 1_000_000  # In bytes/s; after 0.6 s that is 100 Mbit/s.
LEAST = 50_000
LEAST_SHARE = 0.03  # Of the best rate of late, in any case: the kernel sends 64 KiB at once, and
# whoever sends that only each second would learn too late that the others have gone.
MOST = 10**10
IDLE_S = 2.0  # After a pause the network may be another one.
WINDOW_S = 60.0  # The shortest round trip counts for one to two of these.
DRAIN_EVERY_S = 10.0  # If the shortest round trip was not seen again for so long, …
DRAIN_S, DRAIN_SHARE = 0.15, 0.5  # … we send less for a moment, and what waits for us is gone.
SEEN_AGAIN_S = 0.001  # It was, if one was not longer than it by more.
MOST_HOSTS = 1024
SMOOTHING, ACKNOWLEDGED_BYTES = 1 / 8, 32 << 10  # Of an average of round trips.


class Sample(NamedTuple):
    """What a connection has shown since the last time."""

    host: str
    round_trip_s: float  # Recently.
    delivered: float  # In bytes/s.


class Least:
    """The shortest round trip, as far as it is not too long ago."""

    def __init__(self) -> None:
        self._now_s = self._before_s = math.inf
        self._turn_at = -math.inf
        self._seen_at = -math.inf

    def queue_s(self, round_trip_s: float, now: float) -> float:
        """Take in a round trip; return how much longer than the shortest one it is."""
        if now >= self._turn_at:
            is_old = now >= self._turn_at + WINDOW_S
            self._before_s = math.inf if is_old else self._now_s
            self._now_s = math.inf
            self._turn_at = now + WINDOW_S
        self._now_s = min(self._now_s, round_trip_s)
        queue_s = round_trip_s - min(self._now_s, self._before_s)
        if queue_s <= SEEN_AGAIN_S:
            self._seen_at = now
        return queue_s

    def is_unsure(self, now: float) -> bool:
        """Say whether the shortest one was not seen again for long."""
        return now >= self._seen_at + DRAIN_EVERY_S


class Controller:
    """The rate that one queue leaves to us, in bytes/s. `now` is monotonic, in seconds."""

    def __init__(self) -> None:
        self.rate = START
        self._quiet = 0
        self._at = -math.inf
        self._drains_at = -math.inf
        self._best = 0.0  # The highest rate of late.

    def update(self, queue_s: float, delivered: float, now: float, *, is_unsure: bool) -> int:
        """Take in how long what we send has waited, and how much arrived; return the new rate.

        `is_unsure`: nobody knows any more how long it would take without a queue.
        """
        if now >= self._at + IDLE_S:
            self.rate, self._best = min(self.rate, START), 0.0
            self._quiet, self._drains_at = 0, now
        passed = min((now - self._at) / SAMPLE_S, MOST_PASSED)
        self._at = now
        if is_unsure and now >= self._drains_at + DRAIN_EVERY_S:
            self._drains_at = now
        if is_unsure and now < self._drains_at + DRAIN_S:
            return max(LEAST, int(DRAIN_SHARE * self.rate))
        self._quiet = self._quiet + 1 if queue_s < QUIET * TARGET_S else 0
        gain = FAST_GAIN if self._quiet >= QUIET_SAMPLES else GAIN
        missed = queue_s / TARGET_S - 1
        change = -gain * missed if missed < 0 else -min(CUT * missed, MOST_CUT)
        if change > 0 and delivered < USED * self.rate:
            return self.rate
        if change < 0:
            self.rate = min(self.rate, max(START, int(2 * delivered)))
        self._best = max(delivered, self._best * (1 - passed * SAMPLE_S / WINDOW_S))
        least = max(LEAST, int(LEAST_SHARE * self._best))
        self.rate = min(max(int(self.rate * (1 + change) ** passed), least), MOST)
        return self.rate


class _Host:
    def __init__(self) -> None:
        self.least = Least()
        self.controller = Controller()
        self.rate = START


class Background:
    """Our uplink, and the hosts that we send to."""

    def __init__(self) -> None:
        self._uplink = Controller()
        self._hosts: dict[str, _Host] = {}  # The one that was sent to longest ago comes first.
        self.rate = START

    def sampled(self, samples: Iterable[Sample], now: float) -> None:
        """Take in what the connections have shown; call it each SAMPLE_S while there is one."""
        least_s, unsure, total = math.inf, True, 0.0
        for host, each in _by_host(samples).items():
            known = self._hosts[host] = self._hosts.pop(host) if host in self._hosts else _Host()
            queue_s = known.least.queue_s(min(one.round_trip_s for one in each), now)
            delivered = sum(one.delivered for one in each)
            is_unsure = known.least.is_unsure(now)
            known.rate = known.controller.update(queue_s, delivered, now, is_unsure=is_unsure)
            least_s, unsure, total = min(least_s, queue_s), unsure and is_unsure, total + delivered
        if least_s < math.inf:
            self.rate = self._uplink.update(least_s, total, now, is_unsure=unsure)
        while len(self._hosts) > MOST_HOSTS:
            del self._hosts[next(iter(self._hosts))]

    def rates_to(self) -> dict[str, int]:
        """Return what may be sent to each host, in bytes/s."""
        return {host: known.rate for host, known in self._hosts.items()}


def unsmoothed(before_s: float, after_s: float, arrived_bytes: int) -> float:
    """Return the round trips of late, given the kernel's average before and after them.

    Each acknowledgement moves it by an eighth (RFC 6298), and tells of what came at once. When
    little is sent, the average would remember for seconds what is long gone.
    """
    count = max(1.0, arrived_bytes / ACKNOWLEDGED_BYTES)
    forgotten = math.pow(1 - SMOOTHING, count)
    return max(0.0, (after_s - forgotten * before_s) / (1 - forgotten))


def _by_host(samples: Iterable[Sample]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for each in samples:
        found.setdefault(each.host, []).append(each)
    return found

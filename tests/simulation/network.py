"""Virtual links: how long bytes take from one host to another. They lose nothing.

A host's uplink passes one message after the other at its rate, and so does its downlink, in the
order in which they come in (whole messages in a row, cut through from one link to the other). TCP
shares a link between connections instead; for messages of one size that are queued a few at a time
the throughput is the same.
"""

import dataclasses
import math

SMALL_BYTES = 2000  # One packet …
QUEUE_S = 0.05  # … waits behind at most so much of what others send, as in the lab's switch.


@dataclasses.dataclass
class Link:
    """One direction of one host's network card. `free_at` is when it has sent what it was given."""

    rate_bytes_per_s: float
    free_at: float = 0.0
    sent_bytes: int = 0


@dataclasses.dataclass
class Place:
    """A host's connection to the switch."""

    up: Link
    down: Link
    latency_s: float
    dies_at: float = math.inf

    def is_alive(self, now: float) -> bool:
        return now < self.dies_at


def place(up_bytes_per_s: float, down_bytes_per_s: float, latency_s: float) -> Place:
    """Return a host's connection with those rates."""
    return Place(Link(up_bytes_per_s), Link(down_bytes_per_s), latency_s)


def send(source: Place, target: Place, size_bytes: int, now: float) -> tuple[float, float]:
    """Put a message on its way; return when it has left `source`, and when to `receive` it.

    That is when the target's link begins to be busy with it: for one that comes in more slowly than
    the link would take it, so late that the link is busy for no longer than it needs.
    """
    left_at = _pass(source.up, size_bytes, now)
    whole_at = left_at + source.latency_s + target.latency_s
    first_at = whole_at - size_bytes / source.up.rate_bytes_per_s
    return left_at, max(first_at, whole_at - size_bytes / target.down.rate_bytes_per_s)


def receive(target: Place, size_bytes: int, now: float) -> float:
    """Let a message come in from `now` on; return when all of it is there."""
    return _pass(target.down, size_bytes, now)


def _pass(link: Link, size_bytes: int, now: float) -> float:
    takes_s = size_bytes / link.rate_bytes_per_s
    link.sent_bytes += size_bytes
    starts_at = max(link.free_at, now)
    link.free_at = starts_at + takes_s
    if size_bytes < SMALL_BYTES:
        return min(starts_at, now + QUEUE_S) + takes_s
    return link.free_at

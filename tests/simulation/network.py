"""Virtual links: how long bytes take from one host to another. Loses nothing by itself.

A host's uplink and downlink each pass one message after the other at their rate (whole messages in
a row, cut through from one link to the other). TCP shares a link between connections instead;
for messages of one size that are queued a few at a time the throughput is the same.
"""

import dataclasses


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
    is_alive: bool = True


def place(rate_bytes_per_s: float, latency_s: float) -> Place:
    """Return a host with the same rate in both directions."""
    return Place(Link(rate_bytes_per_s), Link(rate_bytes_per_s), latency_s)


def send(source: Place, target: Place, size_bytes: int, now: float) -> tuple[float, float]:
    """Put a message on its way; return when it has left `source`, and when it is at `target`."""
    left_at = _pass(source.up, size_bytes, now, now)
    latency_s = source.latency_s + target.latency_s
    first_byte_at = left_at - size_bytes / source.up.rate_bytes_per_s + latency_s
    arrived_at = _pass(target.down, size_bytes, first_byte_at, left_at + latency_s)
    return left_at, arrived_at


def _pass(link: Link, size_bytes: int, from_at: float, not_before: float) -> float:
    start = max(link.free_at, from_at)
    link.free_at = max(start + size_bytes / link.rate_bytes_per_s, not_before)
    link.sent_bytes += size_bytes
    return link.free_at

"""How near a fetch came to what was possible, and what stood in the way. Judges what was measured.

What is possible is the best rate that was seen over a quarter of a second. What bounded it is said
only where the measurements show it (docs/use/commands.md has the rules for people).
"""

import msgspec

LEAST_S = 0.75  # Three spans of the rate: less tells nothing.
MOST = 0.85  # Such a share of the time, or of a rate, is all of it.
MUCH = 0.25
PAYLOAD_SHARE = 0.94  # What Ethernet, IP and TCP leave of a link's nominal rate.
SEVERAL = 1.5  # Askers of a holder at a time, on the average.


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one fetch. Times in seconds, rates in bytes per second."""

    node: str
    elapsed_s: float
    fetched_bytes: int
    best_rate: float  # Over a span of 0.25 s.
    working_s: float  # Processor time of the thread that fetches, short writes included.
    disk_s: float  # For which that thread waited for the disk.
    starved_s: float  # While nobody was known to have anything that was missing.
    holders: int  # That delivered something.
    askers: float  # How many each of them served at a time, weighted by their bytes; 0: unknown.
    link_rate: float | None  # What the network card says of itself; none: it says nothing.


class Yield(msgspec.Struct, frozen=True):
    """`bound_s` is the time at the best rate, `ratio` that as a share of the real time."""

    bound_s: float | None
    ratio: float | None
    bound_by: str
    reason: str


def judge(seen: Measured) -> Yield:
    """Return what bounded a fetch, and how near to that it came."""
    if not seen.fetched_bytes:
        return Yield(None, None, "unknown", "nothing had to be fetched")
    if seen.elapsed_s < LEAST_S or not seen.best_rate:
        return Yield(None, None, "unknown", "too quick to tell")
    bound_s = min(seen.fetched_bytes / seen.best_rate, seen.elapsed_s)
    return Yield(round(bound_s, 6), round(bound_s / seen.elapsed_s, 4), *_bound(seen))


def _bound(seen: Measured) -> tuple[str, str]:
    """Return the first cause that the measurements show: a word for scripts, and the reason."""
    link = PAYLOAD_SHARE * (seen.link_rate or 0.0)
    causes = [
        (seen.disk_s > seen.elapsed_s / 2, "disk", f"the disk of {seen.node}"),
        (seen.working_s > MOST * seen.elapsed_s, "processor", f"a processor of {seen.node}"),
        (link and seen.best_rate > MOST * link, "link", f"the link of {seen.node}"),
        (
            seen.starved_s > MUCH * seen.elapsed_s,
            "source",
            "the source, which for much of the time had given all it could",
        ),
        (seen.askers > SEVERAL, "source", "source uplink, which others shared"),
    ]
    uplinks = "its holders' uplinks" if seen.holders > 1 else "its holder's uplink"
    unknown = f"{uplinks} or the link of {seen.node}; which of them cannot be seen from here"
    return next(((by, reason) for holds, by, reason in causes if holds), ("path", unknown))

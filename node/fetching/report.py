"""What a download has cost and how it ended, as programs and people are told. Measures nothing.

The best possible rate is the best one seen over a quarter of a second. What bounded the transfer is
said only where the measurements show it (docs/use/json.md has the rules).
"""

import bisect
import collections
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from shoal.node.fetching.roster import Roster
from shoal.node.fetching.steps import Fail, StagingOpened
from shoal.protocol import bitmap
from shoal.protocol.control import Fetched
from shoal.protocol.errors import (
    IntegrityError,
    NobodyAliveError,
    NotFoundError,
    TimedOutError,
    TrackerError,
)
from shoal.protocol.names import display

if TYPE_CHECKING:
    from shoal.node.fetching.download import Download

LEAST_S = 0.75  # Three spans of the rate: less tells nothing.
MOST = 0.85  # Such a share of the time, or of a rate, counts as all of it.
MUCH = 0.25
PAYLOAD_SHARE = 0.94  # What Ethernet, IP and TCP leave of a link's nominal rate.
WAITS_S = 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0  # Between classes of replies.
SEVERAL = 1.5  # Peers that a holder serves at a time, on average.


@dataclasses.dataclass
class Tally:
    """Bytes by where they came from, and how often something went wrong."""

    needed_bytes: int = 0
    reused_bytes: int = 0
    by_holder: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    right_chunks: int = 0  # That arrived, were right and were missing.
    duplicate_chunks: int = 0
    duplicate_bytes: int = 0
    wrong_chunks: int = 0
    late_replies: int = 0
    lost_holders: int = 0
    retries: int = 0  # Chunks that were requested again, from any holder.
    starved_s: float = 0.0  # While no holder was known to have any of the missing chunks.
    waited_s: float = 0.0  # Of all right chunks, from request to reply, and …
    waits: list[int] = dataclasses.field(default_factory=lambda: [0] * (len(WAITS_S) + 1))
    askers_weighed: int = 0  # How many peers the holders served at a time, times their bytes.

    def waited(self, seconds: float) -> None:
        """Count a reply that took so long; how many took about as long is in `waits`."""
        self.waited_s += seconds
        self.waits[bisect.bisect_left(WAITS_S, seconds)] += 1

    def begin(self, size_of: Callable[[int], int], room: StagingOpened) -> None:
        """Note what is needed, and that all that is there and was not fetched cost nothing."""
        self.needed_bytes = sum(map(size_of, bitmap.indices(room.needed)))
        have_bytes = sum(map(size_of, bitmap.indices(room.have)))
        self.reused_bytes = max(0, have_bytes - self.fetched_bytes)  # Some may have rotted.

    @property
    def fetched_bytes(self) -> int:
        """Bytes that arrived, were right and were missing."""
        return self.by_holder.total()

    @property
    def askers(self) -> float:
        """How many peers each holder served at a time, averaged over its bytes; 0 if unknown."""
        return self.askers_weighed / max(1, self.fetched_bytes)

    @property
    def have_bytes(self) -> int:
        """Bytes that are here, wherever they came from."""
        return self.reused_bytes + self.fetched_bytes


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What the shell has measured. Times in seconds, rates in bytes per second."""

    elapsed_s: float
    best_rate: float  # Over a span of 0.25 s.
    working_s: float  # CPU time of the fetching thread, short writes included.
    disk_s: float  # How long that thread waited for the disk.
    link_rate: float | None  # What the network card reports; None if it does not.
    limit_rate: int | None = None  # What the operator allows; None: no limit.


class Bound(msgspec.Struct, frozen=True):
    """`bound_s` is the time at the best rate, `ratio` its share of the real time."""

    bound_s: float | None
    ratio: float | None
    bound_by: str
    reason: str


def fetched(download: "Download", node: str, path: str, measured: Measured) -> Fetched:
    """Return the report on a finished download by `node`; the thing is at `path`."""
    tally = download.tally
    assert download.manifest is not None
    bound = judge(node, tally, measured)
    return Fetched(
        name=download.name,
        id=str(download.id),
        size_bytes=min(download.manifest.size_bytes, tally.needed_bytes),
        elapsed_s=round(measured.elapsed_s, 6),
        fetched_bytes=tally.fetched_bytes,
        reused_bytes=tally.reused_bytes,
        holders=dict(sorted(tally.by_holder.items())),
        path=path,
        duplicate_bytes=tally.duplicate_bytes,
        wrong_chunks=tally.wrong_chunks,
        lost_holders=tally.lost_holders,
        retries=tally.retries,
        bound_s=bound.bound_s,
        ratio=bound.ratio,
        bound_by=bound.bound_by,
        bound_reason=bound.reason,
    )


def judge(node: str, tally: Tally, measured: Measured) -> Bound:
    """Return what bounded a fetch by `node`, and how close to that bound it came."""
    if not tally.fetched_bytes:
        return Bound(None, None, "unknown", "nothing had to be fetched")
    if measured.elapsed_s < LEAST_S or not measured.best_rate:
        return Bound(None, None, "unknown", "too quick to tell")
    bound_s = min(tally.fetched_bytes / measured.best_rate, measured.elapsed_s)
    ratio = round(bound_s / measured.elapsed_s, 4)
    return Bound(round(bound_s, 6), ratio, *_bound(node, tally, measured))


def _bound(node: str, tally: Tally, measured: Measured) -> tuple[str, str]:
    """Return the first cause that the measurements show: a word for scripts, and the reason."""
    elapsed_s, link = measured.elapsed_s, PAYLOAD_SHARE * (measured.link_rate or 0.0)
    limit, mean = measured.limit_rate, tally.fetched_bytes / elapsed_s
    causes = [
        (limit and mean > MOST * limit, "limit", f"the limit set for {node}"),
        (measured.disk_s > elapsed_s / 2, "disk", f"the disk of {node}"),
        (measured.working_s > MOST * elapsed_s, "processor", f"a processor of {node}"),
        (link and measured.best_rate > MOST * link, "link", f"the link of {node}"),
        (
            tally.starved_s > MUCH * elapsed_s,
            "source",
            "the source, which for much of the time had given all it could",
        ),
        (tally.askers > SEVERAL, "source", "source uplink, which others shared"),
    ]
    uplinks = "its holders' uplinks" if len(tally.by_holder) > 1 else "its holder's uplink"
    unknown = f"{uplinks} or the link of {node}; which of them cannot be seen from here"
    return next(((by, reason) for holds, by, reason in causes if holds), ("path", unknown))


def no_such_file(what: str) -> Fail:
    return Fail(
        NotFoundError,
        f"no such file was found: {display(what)}; `shoal ls` lists the files that are shared",
    )


def another_answer(what: str) -> Fail:
    message = f"asked for {display(what)}, the tracker answered for another"
    return Fail(TrackerError, f"{message}; find out whose tracker that is")


def moved_on(name: str) -> Fail:
    message = f"{display(name)} changed while it was fetched, and no node has the old version"
    return Fail(NobodyAliveError, f"{message}; run it again to fetch the new one")


def bad_listing(name: str, reason: str) -> Fail:
    message = f"{display(name)} was shared with an invalid list of files: {display(reason)}"
    return Fail(IntegrityError, f"{message}; share it again on the node it came from")


def nobody_delivers(name: str, roster: Roster, offline: list[str]) -> Fail:
    """Return the failure of a download whose holders lied, are gone or send nothing.

    Args:
        name: what was to be fetched.
        roster: its holders, as they turned out.
        offline: those that the tracker has not heard from for long.
    """
    troubles = roster.troubles()
    if not troubles and offline:
        troubles = f"offline: {', '.join(offline)}"
    reasons = f": {troubles}" if troubles else ""
    if roster.has_liars:
        message = f"no holder could deliver the right bytes of {display(name)}{reasons}"
        return Fail(IntegrityError, f"{message}; restore it on one of them")
    if not roster.connected:
        message = f"nobody alive holds {display(name)}{reasons}"
        return Fail(NobodyAliveError, f"{message}; start a node that has it")
    message = f"{', '.join(roster.connected)} sent nothing of {display(name)} for long{reasons}"
    return Fail(TimedOutError, f"{message}; run it again to resume")

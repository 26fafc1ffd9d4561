"""The chunks of one thing while they come in: requests them, judges the replies, counts them.

The scheduler decides which chunk to request from whom; the download, what to do about a liar.
"""

from typing import TYPE_CHECKING

from shoal.node.fetching import steps
from shoal.node.fetching.evidence import Evidence
from shoal.node.fetching.report import Tally
from shoal.node.fetching.roster import Trouble, refusal
from shoal.node.fetching.settings import FetchSettings
from shoal.node.scheduling.scheduler import Scheduler
from shoal.protocol import bitmap
from shoal.protocol.errors import WireCode
from shoal.protocol.names import quoted

if TYPE_CHECKING:
    from random import Random

Reply = steps.ChunkReceived | steps.NothingReceived | steps.RequestRefused


class Gathering:
    """One thing's chunks, from the first request to the last reply."""

    def __init__(
        self,
        thing: steps.OpenStaging,
        room: steps.StagingOpened,
        rng: "Random",
        settings: FetchSettings,
        tally: Tally,
        evidence: Evidence,
    ) -> None:
        """Gather the chunks of `thing` that there is `room` for; count in `tally`."""
        window_bytes = settings.total_window_bytes
        self.scheduler = Scheduler(thing.manifest, room.have, room.needed, rng, window_bytes)
        self.scheduler.wanted.order(room.ends)
        self.is_all = room.is_all
        self._thing = thing
        self._tally = tally
        self._evidence = evidence
        self._starves_since: float | None = None

    def urge(self, urged: steps.ChunksUrged) -> None:
        """Have some come first, or alone; but a listing comes whole."""
        self.scheduler.urge(urged.stretches, urged.only if self.is_all else None)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is to come for now."""
        return self.scheduler.wanted.is_idle

    def requests(self, now: float) -> list[steps.Action]:
        """Return the requests to send now; they count as sent."""
        requests = self.scheduler.next_requests(now)
        self._count_time(now)
        if not requests:
            return []
        have = bitmap.to_bytes(self.scheduler.wanted.have, self._thing.manifest.chunk_count)
        return [
            steps.RequestChunk(
                request.node,
                request.request_id,
                self._thing.id,
                request.index,
                have,
                int(1000 * (request.written_off_at - now)),
            )
            for request in requests
        ]

    def _count_time(self, now: float) -> None:
        if self._starves_since is not None:
            self._tally.starved_s += now - self._starves_since
        out = self.scheduler.out
        wanted = self.scheduler.wanted
        is_starving = out.prompt <= out.guesses and not (wanted.is_complete or wanted.is_idle)
        self._starves_since = now if is_starving else None
        self._tally.retries = out.retries

    def take_in(self, reply: Reply, now: float) -> list[steps.Action] | Trouble:
        """Return what to do about a reply, if its request is still out."""
        node, request_id = reply.node, reply.request_id
        index = self.scheduler.asked_for(node, request_id)
        match reply:
            case steps.ChunkReceived(size_bytes=size_bytes) if index is None:
                self._tally.late_replies += 1
                self._tally.duplicate_chunks += 1
                self._tally.duplicate_bytes += size_bytes
            case _ if index is None:
                self._tally.late_replies += 1
            case steps.ChunkReceived():
                return self._chunk_came(reply, index, now)
            case steps.NothingReceived(have=have):
                self.scheduler.had_nothing(node, request_id, have, now)
            case steps.RequestRefused(code=WireCode.BUSY):
                self.scheduler.is_busy(node, now)
                self.scheduler.give_up(node, request_id, now)
            case steps.RequestRefused(reason=reason):  # pragma: no branch
                return refusal(quoted(reason))
        return []

    def _chunk_came(
        self, reply: steps.ChunkReceived, index: int, now: float
    ) -> list[steps.Action] | Trouble:
        if reply.index != index:  # Even if these are the right bytes of another one.
            self._tally.wrong_chunks += 1
            self.scheduler.sent_wrong(reply.node, reply.request_id, index, now)  # Its bytes came.
            return Trouble("sent a chunk that was not requested", lied=True)
        if not self._is_right(reply):
            return self._wrong_chunk_came(reply, now)
        self._evidence.sent_right(reply.node)
        self.scheduler.learn(reply.node, reply.have, now)
        self._tally.waited(now - self.scheduler.sent_at(reply.request_id))
        came = self.scheduler.received(reply.node, reply.request_id, reply.index, now)
        if not came:
            self._tally.duplicate_chunks += 1
            self._tally.duplicate_bytes += reply.size_bytes
            return []
        self._tally.right_chunks += 1
        self._tally.by_holder[reply.node] += reply.size_bytes
        self._tally.reused_bytes += (came.bit_count() - 1) * reply.size_bytes
        self._tally.askers_weighed += reply.askers * reply.size_bytes
        return [steps.StoreChunk(reply.node, reply.request_id, reply.index)]

    def _wrong_chunk_came(self, reply: steps.ChunkReceived, now: float) -> list[steps.Action]:
        """Return what to tell the holder, which is never asked for this chunk again."""
        node, request_id, index = reply.node, reply.request_id, reply.index
        self._tally.wrong_chunks += 1
        self.scheduler.sent_wrong(node, request_id, index, now)
        if not self._evidence.sent_wrong(node, index):
            return []  # Two requests for it were out: it has been told.
        return [steps.ReportChunk(node, request_id, self._thing.id, index)]

    def _is_right(self, reply: steps.ChunkReceived) -> bool:
        thing, index = self._thing.manifest, reply.index
        return reply.size_bytes == thing.chunk_size(index) and reply.digest == thing.digest(index)

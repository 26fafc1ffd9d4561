"""One thing's fetch, from its name to its publication. Does nothing itself: events in, actions out.

LOOKING for holders -> asking them for the MANIFEST -> OPENING the staging file -> FETCHING chunks
from all of them -> PUBLISHING. Whatever a holder does, the worst it can achieve is not to be asked.
"""

import enum
import itertools
from typing import TYPE_CHECKING, Any

from node import steps
from node.roster import Roster
from node.scheduler import Scheduler
from node.settings import FetchSettings
from node.steps import Action, Event
from node.tally import Tally
from protocol import bitmap
from protocol.errors import ExitCode, MalformedMessageError, WireCode
from protocol.manifest import ContentId, Manifest, decode, id_of, is_id
from protocol.names import display

if TYPE_CHECKING:
    import random


class Phase(enum.Enum):
    LOOKING = enum.auto()
    MANIFEST = enum.auto()
    OPENING = enum.auto()
    FETCHING = enum.auto()
    PUBLISHING = enum.auto()
    OVER = enum.auto()


class Download:
    """The state of one fetch; `handle` is its only way in."""

    def __init__(
        self,
        what: str,
        node: str,
        tracker_address: str,
        rng: "random.Random",
        settings: FetchSettings | None = None,
    ) -> None:
        """Fetch `what`, a name or an id, as `node`."""
        self.what = what
        self.name = what
        self.id: ContentId | None = ContentId(what) if is_id(what) else None
        self.manifest: Manifest | None = None
        self.phase = Phase.LOOKING
        self.tally = Tally()
        self._settings = settings or FetchSettings()
        self._rng = rng
        self._roster = Roster(node, tracker_address, self._settings)
        self._scheduler: Scheduler | None = None
        self._ids = itertools.count(rng.getrandbits(32) << 16)
        self._manifest_asked: dict[str, tuple[int, float]] = {}
        self._offline: list[str] = []
        self._query_at = 0.0
        self._query_is_out = False
        self._nobody_since: float | None = None

    @property
    def holders(self) -> list[str]:
        """The holders that are being asked now."""
        return self._roster.connected

    @property
    def have_bytes(self) -> int:
        return self.tally.reused_bytes + self.tally.fetched_bytes

    @property
    def have(self) -> int:
        """The chunks that are on the disk (protocol.bitmap)."""
        return self._scheduler.have if self._scheduler else 0

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take in what happened; return what is to be done, in order."""
        if self.phase is Phase.OVER:
            return []
        actions: list[Action] = list(_HANDLERS[type(event)](self, event, now))
        if self.phase is not Phase.OVER:
            actions += self._go_on(now)
        return actions

    def deadline(self, now: float) -> float | None:
        """Return when to send `TimePassed` if nothing happens before."""
        if self.phase in {Phase.OPENING, Phase.PUBLISHING, Phase.OVER}:
            return None
        times = [None if self._query_is_out else self._query_at, self._roster.deadline()]
        times += [due for _, due in self._manifest_asked.values()]
        if self._nobody_since is not None:
            times.append(self._nobody_since + self._grace_s)
        if self._scheduler is not None:
            times.append(self._scheduler.deadline(now))
        return min((time for time in times if time is not None), default=None)

    # What happened.

    def _found(self, event: steps.HoldersFound, now: float) -> list[Action]:
        answer = event.answer
        self._query_is_out = False
        self._query_at = now + self._requery_s
        if self.phase is Phase.LOOKING:
            self.name, self.id = answer.name, ContentId(answer.id) if answer.id else None
            self._offline = [holder.node for holder in answer.offline]
            if answer.holders:
                self.phase = Phase.MANIFEST
        elif self.id is not None and answer.id != self.id:
            return []
        connects = self._roster.learn(answer.holders)
        if self._scheduler is not None:
            for connect in connects:
                self._take_in(connect.node, now)
        return list(connects)

    def _not_found(self, _: steps.NotFound, now: float) -> list[Action]:
        self._query_is_out = False
        self._query_at = now + self._requery_s
        if self.phase is not Phase.LOOKING:
            return []
        return self._fail(ExitCode.NOT_FOUND, f"no such file was found: {display(self.what)}")

    def _tracker_lost(self, event: steps.TrackerLost, now: float) -> list[Action]:
        self._query_is_out = False
        self._query_at = now + self._requery_s
        if self.phase is not Phase.LOOKING:
            return []  # Those who are known still deliver.
        return self._fail(ExitCode.TRACKER_UNREACHABLE, event.reason)

    def _manifest_came(self, event: steps.ManifestReceived, now: float) -> list[Action]:
        asked = self._manifest_asked.pop(event.node, None)
        if self.phase is not Phase.MANIFEST or asked is None or asked[0] != event.request_id:
            self.tally.late_replies += 1
            return []
        try:
            if self.id not in {None, id_of(event.data)}:
                raise MalformedMessageError("another manifest than it was asked for")
            self.manifest = decode(event.data)
        except MalformedMessageError as error:
            return self._ban(event.node, f"sent {error}", now)
        self.id = id_of(event.data)
        self.phase = Phase.OPENING
        self._manifest_asked.clear()
        return [steps.OpenStaging(self.name, self.id, self.manifest)]

    def _opened(self, event: steps.StagingOpened, now: float) -> list[Action]:
        assert self.manifest is not None
        self._scheduler = Scheduler(self.manifest, event.have, self._rng, self._settings)
        self.tally.reused_bytes = sum(map(self.manifest.chunk_size, bitmap.indices(event.have)))
        for node in self._roster.connected:
            self._take_in(node, now)
        self.phase = Phase.FETCHING
        return []

    def _chunk_came(self, event: steps.ChunkReceived, now: float) -> list[Action]:
        offered = self._offered(event.node, event.request_id)
        if offered is None:
            self.tally.late_replies += 1
            self.tally.duplicate_bytes += event.size_bytes
            return []
        assert self.manifest is not None
        assert self._scheduler is not None
        if event.index not in offered:
            return self._ban(event.node, "sent a chunk that it was not asked for", now)
        if event.size_bytes != self.manifest.chunk_size(event.index):
            return self._ban(event.node, "sent a chunk of the wrong size", now)
        if event.digest != self.manifest.digest(event.index):
            self.tally.wrong_chunks += 1
            return self._ban(event.node, "sent wrong bytes", now)
        self._roster.proved_good(event.node)
        self._scheduler.learn(event.node, event.have, now)
        if not self._scheduler.received(event.node, event.request_id, event.index, now):
            self.tally.duplicate_bytes += event.size_bytes
            return []
        self.tally.by_holder[event.node] += event.size_bytes
        return [steps.StoreChunk(event.index)]

    def _nothing_came(self, event: steps.NothingReceived, now: float) -> list[Action]:
        if self._offered(event.node, event.request_id) is not None:
            assert self._scheduler is not None
            self._scheduler.close(event.node, event.request_id, now)
            self._scheduler.learn(event.node, event.have or b"\0", now)
        return []

    def _refused(self, event: steps.RequestRefused, now: float) -> list[Action]:
        asked = self._manifest_asked.get(event.node)
        was_manifest = asked is not None and asked[0] == event.request_id
        if not was_manifest and self._offered(event.node, event.request_id) is None:
            return []
        if event.code == WireCode.BUSY and self._scheduler is not None:
            self._scheduler.close(event.node, event.request_id, now)
            self._scheduler.back_off(event.node, now)
            return []
        return self._lose(event.node, f"refused: {display(event.reason)}", now)

    def _holder_lost(self, event: steps.HolderLost, now: float) -> list[Action]:
        if not self._roster.is_connected(event.node):
            return []
        if event.lied:
            return self._ban(event.node, event.reason, now)
        return self._lose(event.node, event.reason, now)

    def _disk_failed(self, event: steps.DiskFailed, _: float) -> list[Action]:
        return self._fail(ExitCode.DISK, event.reason)

    def _published(self, event: steps.Published, _: float) -> list[Action]:
        self.phase = Phase.OVER
        return [steps.Finish(event.path)]

    def _time_passed(self, _: steps.TimePassed, __: float) -> list[Action]:
        return []

    # What follows from it.

    def _go_on(self, now: float) -> list[Action]:
        if self.phase in {Phase.OPENING, Phase.PUBLISHING}:
            return []
        if self._scheduler is not None and self._scheduler.is_complete:
            self.phase = Phase.PUBLISHING
            return [steps.Publish()]
        actions = self._ask_tracker(now) + self._retry(now)
        if self.phase is Phase.MANIFEST:
            actions += self._ask_manifest(now)
        elif self._scheduler is not None:
            for node in self._scheduler.silent(now):
                actions += self._lose(node, "does not answer", now)
            actions += self._ask_chunks(self._scheduler, now)
        return actions + self._give_up_if_alone(now)

    def _ask_tracker(self, now: float) -> list[Action]:
        if self._query_is_out or now < self._query_at:
            return []
        self._query_is_out = True
        if self.phase is Phase.LOOKING:
            return [steps.QueryTracker(self.what, partial=False)]
        return [steps.QueryTracker(self.id or self.name, partial=True)]

    def _retry(self, now: float) -> list[Action]:
        connects = self._roster.retry(now)
        if self._scheduler is not None:
            for connect in connects:
                self._take_in(connect.node, now)
        return list(connects)

    def _ask_manifest(self, now: float) -> list[Action]:
        if any(now < due for _, due in self._manifest_asked.values()):
            return []
        unasked = [node for node in self._roster.connected if node not in self._manifest_asked]
        if not unasked:
            for node in list(self._manifest_asked):
                return self._lose(node, "does not answer", now)
            return []
        request_id = next(self._ids)
        self._manifest_asked[unasked[0]] = request_id, now + self._settings.manifest_patience_s
        return [steps.RequestManifest(unasked[0], request_id, self.id or self.name)]

    def _ask_chunks(self, scheduler: Scheduler, now: float) -> list[Action]:
        assert self.manifest is not None
        assert self.id is not None
        have = bitmap.to_bytes(scheduler.have, self.manifest.chunk_count)
        return [
            steps.RequestChunk(
                request.node,
                request.request_id,
                self.id,
                request.offered,
                have,
                int(1000 * (request.written_off_at - now)),
            )
            for request in scheduler.next_requests(now)
        ]

    def _give_up_if_alone(self, now: float) -> list[Action]:
        if self._roster.connected:
            self._nobody_since = None
            return []
        if self._nobody_since is None:
            self._nobody_since = now
        if now < self._nobody_since + self._grace_s and not self._roster.is_hopeless:
            return []
        reasons = self._roster.troubles() or f"offline: {', '.join(self._offline)}"
        if self._roster.has_liars:
            message = f"no holder could deliver the right bytes of {display(self.name)}: {reasons}"
            return self._fail(ExitCode.INTEGRITY, message)
        message = f"nobody alive holds {display(self.name)}: {reasons}; start one of these nodes"
        return self._fail(ExitCode.NOBODY_ALIVE, message)

    def _take_in(self, node: str, now: float) -> None:
        assert self._scheduler is not None
        self._scheduler.add(node, now, complete=self._roster.is_complete(node))

    def _offered(self, node: str, request_id: int) -> tuple[int, ...] | None:
        return self._scheduler.offered(node, request_id) if self._scheduler else None

    def _lose(self, node: str, reason: str, now: float) -> list[Action]:
        self.tally.lost_holders += 1
        self._roster.lose(node, reason, now)
        return self._disconnect(node, reason, now)

    def _ban(self, node: str, reason: str, now: float) -> list[Action]:
        self._roster.ban(node, reason)
        return self._disconnect(node, reason, now)

    def _disconnect(self, node: str, reason: str, now: float) -> list[Action]:
        self._manifest_asked.pop(node, None)
        if self._scheduler is not None:
            self._scheduler.drop(node, now)
        return [steps.Disconnect(node, reason)]

    def _fail(self, exit_code: ExitCode, message: str) -> list[Action]:
        self.phase = Phase.OVER
        return [steps.Fail(exit_code, message)]

    @property
    def _requery_s(self) -> float:
        """Often while nobody is there to be asked, seldom later."""
        if self._roster.connected:
            return self._settings.requery_s
        return self._settings.requery_alone_s

    @property
    def _grace_s(self) -> float:
        if self._scheduler is None:
            return self._settings.nobody_at_start_s
        return self._settings.nobody_later_s


_HANDLERS: dict[type[Event], Any] = {
    steps.HoldersFound: Download._found,
    steps.NotFound: Download._not_found,
    steps.TrackerLost: Download._tracker_lost,
    steps.ManifestReceived: Download._manifest_came,
    steps.StagingOpened: Download._opened,
    steps.ChunkReceived: Download._chunk_came,
    steps.NothingReceived: Download._nothing_came,
    steps.RequestRefused: Download._refused,
    steps.HolderLost: Download._holder_lost,
    steps.DiskFailed: Download._disk_failed,
    steps.Published: Download._published,
    steps.TimePassed: Download._time_passed,
}

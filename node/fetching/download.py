"""One thing's fetch, from its name to its publication. Does no I/O: events in, actions out.

LOOKING for holders -> requesting the MANIFEST -> OPENING the staging area -> FETCHING chunks from
all holders -> PUBLISHING. Of a tree the chunks of the listing come first; then the staging area is
OPENING once more, for the files.

Whatever a holder does, the worst it can achieve is that it is not asked any more.
"""

from typing import TYPE_CHECKING

from shoal.node.fetching import report, steps
from shoal.node.fetching.gathering import Gathering, Reply
from shoal.node.fetching.manifest_requests import ManifestRequests, manifest_in
from shoal.node.fetching.patience import Lookup, Patience
from shoal.node.fetching.report import Tally
from shoal.node.fetching.roster import Roster, Trouble, refusal
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.steps import Action, Event, Phase
from shoal.node.fetching.versions import Meant
from shoal.node.scheduling.budgets import Budget
from shoal.protocol.bucket import Bucket
from shoal.protocol.errors import DiskError, NotAllowedError, TrackerError, WireCode
from shoal.protocol.manifest import ContentId, Manifest, id_of, is_id
from shoal.protocol.messages import Holders
from shoal.protocol.names import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

SILENT = Trouble("does not answer", was_silent=True)


class Download:
    """The state of one fetch; `handle` is its only way in."""

    def __init__(
        self,
        meant: Meant,
        node: str,
        trackers: tuple[str, ...],
        rng: "Random",
        settings: FetchSettings | None = None,
        listed: "Mapping[str, str]" = {},  # noqa: B006 (is not changed)
    ) -> None:
        """Fetch what is `meant`, and nothing else, as `node`.

        `listed` has the addresses of the nodes in the cluster file, by name.
        """
        self.what = meant.what
        self.name = meant.name or meant.what
        self.id = ContentId(meant.id) if meant.id else None
        self.manifest: Manifest | None = None
        self.phase = Phase.LOOKING
        self.tally = Tally()
        self.budget: Budget = Bucket()  # How much may be requested in which time.
        self._settings = settings or FetchSettings()
        self._rng = rng
        self.roster = Roster(node, trackers, self._settings, listed)
        self._manifest_requests = ManifestRequests(rng)
        self._patience = Patience(self._settings.stalled_s)
        self._lookup = Lookup(self._settings)
        self._opening: steps.OpenStaging | None = None
        self._gathering: Gathering | None = None
        self._offline: list[str] = []
        self._version = meant.title.version
        self._follows = meant.id is not None and meant.name is not None and not meant.is_exact
        self._asks_by_name = False  # Next time: to see whether its holders have moved on.
        self._chores_at = 0.0
        self.urged = steps.ChunksUrged()

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take in what happened; return what is to be done, in order."""
        if self.phase is Phase.OVER:
            return []
        return self._take_in(event, now) + self._go_on(now)

    def _take_in(  # noqa: C901, PLR0911, PLR0912 (one table of all events)
        self, event: Event, now: float
    ) -> list[Action]:
        """Return what to do about an event."""
        match event:
            case steps.ChunkReceived() | steps.NothingReceived() | steps.RequestRefused():
                return self._reply_came(event, now)
            case steps.TimePassed() | steps.ReportNoted():
                return []
            case steps.HolderConnected() | steps.BytesCame():
                return self._noticed(event, now)
            case steps.ChunksUrged():
                return self._hurry(event, now)
            case steps.HolderLost():
                return self._lost(event, now)
            case steps.HoldersFound(answer):
                return self._found(answer, now) + self._looked_up(now)
            case steps.NotFound():
                return self._not_found(report.no_such_file(self.what), now)
            case steps.TrackerLost(reason, is_refusal):
                kind = NotAllowedError if is_refusal else TrackerError
                return self._not_found(steps.Fail(kind, reason), now)
            case steps.ManifestReceived():
                return self._manifest_came(event, now)
            case steps.StagingOpened():
                return self._begin(event, now)
            case steps.ListingRefused(reason):
                return self._end(report.bad_listing(self.name, reason))
            case steps.DiskFailed(reason, brief):
                return self._end(steps.Fail(DiskError, reason, brief))
            case steps.Published(path):  # pragma: no branch (the last kind of event)
                return self._end(steps.Finish(path))

    def deadline(self, now: float) -> float | None:
        """Return when to send `TimePassed` if nothing happens before, which is after `now`."""
        if self._waits_for_the_shell():
            return None
        due = self._gathering.scheduler.deadline(now) if self._gathering else None
        return due if self._chores_at <= now else min(self._chores_at, due or self._chores_at)

    def _waits_for_the_shell(self) -> bool:
        """Return whether nothing can be done before the tracker or the disk has answered."""
        if self.phase is Phase.FETCHING or self.phase is Phase.MANIFEST:
            return False
        return self.phase is not Phase.LOOKING or self._lookup.is_out

    # The tracker.

    def _found(self, answer: Holders, now: float) -> list[Action]:
        is_first = self.phase is Phase.LOOKING
        if not self._is_about_it(answer):
            if self._has_moved_on(answer, now):
                return self._end(report.moved_on(self.name))
            return self._end(report.another_answer(self.what)) if is_first else []
        if is_first:
            self.id = self.id or (ContentId(answer.id) if answer.id else None)
            self.name = answer.name if is_id(self.name) else self.name
            self._offline = [holder.node for holder in answer.offline]
            if answer.holders:
                self.phase = Phase.MANIFEST
        self.roster.learn(answer.holders)
        if self._patience.quiet_s(now) >= self._settings.requery_s:
            self.roster.widen()
        return []

    def _not_found(self, fail: steps.Fail, now: float) -> list[Action]:
        """Fail if no holder is known yet; those that are known still deliver."""
        failed = self._end(fail) if self.phase is Phase.LOOKING else []
        return failed + self._looked_up(now)

    def _looked_up(self, now: float) -> list[Action]:
        self._chores_at = now
        actions = self._choose(now)
        self._lookup.answered(now, is_alone=self.roster.is_alone)
        return actions

    def _is_about_it(self, answer: Holders) -> bool:
        """Return whether an answer is about what is fetched: once an id is known, that alone."""
        if self.id is not None:
            return answer.id == self.id
        return answer.name == self.name

    def _has_moved_on(self, answer: Holders, now: float) -> bool:
        """Return whether another version is the newest by now, and others have it.

        Only while nobody delivers this one.
        """
        is_another = answer.name == self.name and answer.id is not None and answer.id != self.id
        is_newer = answer.version > self._version or not self._version
        return self._may_move_on(now) and is_another and is_newer and bool(answer.holders)

    def _may_move_on(self, now: float) -> bool:
        """Return whether another version would do: this was the newest, and nobody delivers it.

        Holders that all wait for each other's chunks do not.
        """
        roster, is_stalled = self.roster, self._patience.is_stalled(now)
        return self._follows and (roster.is_alone or roster.is_hoping or is_stalled)

    # The manifest and the disk.

    def _manifest_came(self, event: steps.ManifestReceived, now: float) -> list[Action]:
        if not self._manifest_requests.is_out(event.node, event.request_id):
            self.tally.late_replies += 1
            return []
        manifest = manifest_in(event.data, self.id)
        if isinstance(manifest, str):
            return [self._part_with(event.node, Trouble(manifest, lied=True), now)]
        self.manifest, self.id = manifest, id_of(event.data)
        self.phase = Phase.OPENING
        self.roster.answered(event.node)
        self._manifest_requests.forget_all()
        self._opening = steps.OpenStaging(self.name, self.id, manifest)
        return [self._opening]

    def _begin(self, room: steps.StagingOpened, now: float) -> list[Action]:
        assert self._opening is not None
        self.phase = Phase.FETCHING
        parts = self._rng, self._settings, self.tally, self.roster.evidence
        self._gathering = Gathering(self._opening, room, *parts)
        self._gathering.scheduler.budget = self.budget
        self._gathering.urge(self.urged)
        self.tally.begin(self._opening.manifest.chunk_size, room)
        self._patience.succeeded(now)
        self.roster.begin(self._gathering.scheduler, now)
        self._chores_at = now
        return []

    def _hurry(self, urged: steps.ChunksUrged, now: float) -> list[Action]:
        """Have these come first, now or as soon as there is room for them."""
        self.urged = urged
        if self._gathering is not None:
            if self._is_idle:
                self._patience.rest(now)
                self._chores_at = now
            self._gathering.urge(urged)
        return []

    @property
    def _is_idle(self) -> bool:
        """Whether it waits for somebody to read more."""
        return self._gathering is not None and self._gathering.is_idle

    # The holders.

    def _noticed(self, event: steps.HolderConnected | steps.BytesCame, now: float) -> list[Action]:
        """Note how far away a holder is, or that it is sending."""
        if isinstance(event, steps.HolderConnected):
            self.roster.met(event.node, event.round_trip_s)
        elif self._gathering is not None:
            self._gathering.scheduler.is_sending(event.node, now)
            self._patience.heard(now)
        else:
            self._manifest_requests.is_sending(event.node, now)
        return []

    def _lost(self, event: steps.HolderLost, now: float) -> list[Action]:
        if not self.roster.is_connected(event.node):
            return []
        return [self._part_with(event.node, Trouble(event.reason, lied=event.lied), now)]

    def _reply_came(self, reply: Reply, now: float) -> list[Action]:
        if self._manifest_requests.is_out(reply.node, reply.request_id):
            return self._no_manifest_came(reply, now)
        if self._gathering is None:
            self.tally.late_replies += 1
            return []
        outcome = self._gathering.take_in(reply, now)
        if isinstance(outcome, Trouble):
            return [self._part_with(reply.node, outcome, now)]
        if outcome and isinstance(outcome[0], steps.ReportChunk):
            self._chores_at = now  # Perhaps no other holder has that chunk.
            for banned in self.roster.sent_wrong(reply.node, now):
                outcome.append(self._left(banned))
        elif outcome:  # A chunk that was missing.
            self.roster.answered(reply.node)
            if self.roster.proved_good(reply.node):
                self._chores_at = now
            self._patience.succeeded(now)
        return outcome

    def _no_manifest_came(self, reply: Reply, now: float) -> list[Action]:
        if isinstance(reply, steps.RequestRefused) and reply.code == WireCode.BUSY:
            self._manifest_requests.is_busy(reply.node, now)
            self._chores_at = now
            return []
        reason = reply.reason if isinstance(reply, steps.RequestRefused) else "no manifest"
        return [self._part_with(reply.node, refusal(quoted(reason)), now)]

    def _choose(self, now: float) -> list[Action]:
        """Return what to do so that the nearest holders are asked, and no others."""
        changes = self.roster.choose(now)
        for change in changes:
            if isinstance(change, steps.Disconnect):
                self._left(change)
        return list(changes)

    def _part_with(self, node: str, trouble: Trouble, now: float) -> Action:
        self._chores_at = now
        self.tally.lost_holders += not trouble.lied
        return self._left(self.roster.part_with(node, trouble, now))

    def _left(self, change: steps.Disconnect) -> Action:
        self._manifest_requests.forget(change.node)
        return change

    def _lose_silent(self, nodes: list[str], now: float) -> list[Action]:
        return [self._part_with(node, SILENT, now) for node in nodes]

    # What is due.

    def _go_on(self, now: float) -> list[Action]:
        if self._waits_for_the_shell():
            return []
        if self._gathering is None:
            return self._chores(now) if now >= self._chores_at else []
        if self._gathering.scheduler.wanted.is_complete:
            return self._all_is_there(self._gathering)
        actions = self._lose_silent(self._gathering.scheduler.silent(now), now)
        if now >= self._chores_at:
            actions += self._chores(now)
        return actions + (self._gathering.requests(now) if self.phase is Phase.FETCHING else [])

    def _all_is_there(self, gathered: Gathering) -> list[Action]:
        if gathered.is_all:
            self.phase = Phase.PUBLISHING
            return [steps.Publish()]
        self.phase = Phase.OPENING
        return [steps.LayOut()]

    def _chores(self, now: float) -> list[Action]:
        """Do what need not be done for each chunk: see to the tracker and to lost holders."""
        actions: list[Action] = list(self._queries(now))
        if self._waits_for_the_shell():
            return actions
        actions += self._choose(now)
        if self.phase is Phase.MANIFEST:
            requests, roster = self._manifest_requests, self.roster
            actions += self._lose_silent(requests.silent(now), now)
            give_up_s = {node: roster.give_up_s(node) for node in roster.connected}
            actions += requests.next(give_up_s, self.id or self.name, now, roster.order())
        actions += self._give_up(now)
        requests_due = self._manifest_requests.deadline(now)
        times = (
            self._lookup.deadline,
            self.roster.deadline(now),
            requests_due,
            self._patience.deadline,
        )
        self._chores_at = min((time for time in times if time is not None), default=now + 1.0)
        return actions

    def _queries(self, now: float) -> list[steps.QueryTracker]:
        """Return the query to the tracker that is due, if any; it counts as sent."""
        is_known = self.phase is not Phase.LOOKING
        what = self.id or self.name if is_known else self.what
        if is_known and self._asks_by_name and self._may_move_on(now):
            what = self.name
        partial = is_known or self._settings.shares_already
        queries = self._lookup.queries(what, now, partial=partial)
        self._asks_by_name ^= bool(queries)
        return queries

    def _give_up(self, now: float) -> list[Action]:
        roster = self.roster
        if self._is_idle:
            self._patience.rest(now)
            return []
        self._patience.look(now, is_alone=roster.is_alone, is_hoping=roster.is_hoping)
        is_over = roster.is_hopeless or self._patience.is_over(now)
        if (is_over or self._patience.is_stalled(now)) and roster.pardon():
            return self._choose(now)
        if not is_over:
            return []
        return self._end(report.nobody_delivers(self.name, roster, self._offline))

    def _end(self, end: steps.Finish | steps.Fail) -> list[Action]:
        self.phase = Phase.OVER
        return [end]

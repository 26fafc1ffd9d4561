"""One thing's fetch, from its name to its publication. Does nothing itself: events in, actions out.

LOOKING for holders -> asking them for the MANIFEST -> OPENING the staging place -> FETCHING chunks
from all of them -> PUBLISHING. Of a tree the listing's chunks are fetched first, and then the place
is OPENING once more, for the files.

Whatever a holder does, the worst it can achieve is not to be asked.
"""

from typing import TYPE_CHECKING

from shoal.node.fetching import steps, verdict
from shoal.node.fetching.circle import Circle
from shoal.node.fetching.gathering import Gathering, Reply
from shoal.node.fetching.inquiry import manifest_in
from shoal.node.fetching.lookup import Lookup
from shoal.node.fetching.patience import Patience
from shoal.node.fetching.roster import Trouble, refusal
from shoal.node.fetching.steps import Action, Event, Phase
from shoal.node.fetching.tally import Tally
from shoal.node.fetching.versions import Meant
from shoal.node.scheduling.settings import FetchSettings
from shoal.protocol.errors import ExitCode, WireCode
from shoal.protocol.manifest import ContentId, Manifest, id_of, is_id
from shoal.protocol.messages import Holders
from shoal.protocol.names import display

if TYPE_CHECKING:
    from random import Random

SILENT = Trouble("does not answer", was_silent=True)
TrackerAnswer = steps.HoldersFound | steps.NotFound | steps.TrackerLost


class Download:
    """The state of one fetch; `handle` is its only way in."""

    def __init__(
        self,
        meant: Meant,
        node: str,
        tracker_address: str,
        rng: "Random",
        settings: FetchSettings | None = None,
    ) -> None:
        """Fetch what is `meant`, and nothing else, as `node`."""
        self.what = meant.what
        self.name = meant.name or meant.what
        self.id = ContentId(meant.id) if meant.id else None
        self.manifest: Manifest | None = None
        self.phase = Phase.LOOKING
        self.tally = Tally()
        self._settings = settings or FetchSettings()
        self._rng = rng
        self._circle = Circle(node, tracker_address, rng, self._settings)
        self.roster = self._circle.roster
        self._inquiry = self._circle.inquiry
        self._patience = Patience(self._settings)
        self._lookup = Lookup(self._settings)
        self._opening: steps.OpenStaging | None = None
        self._gathering: Gathering | None = None
        self._offline: list[str] = []
        self._version = meant.title.version
        self._follows = meant.id is not None and meant.name is not None and not meant.is_exact
        self._asks_by_name = False  # The next time: whether its holders have moved on.
        self._chores_at = 0.0

    def handle(self, event: Event, now: float) -> list[Action]:
        """Take in what happened; return what is to be done, in order."""
        if self.phase is Phase.OVER:
            return []
        if isinstance(event, steps.PeerHeard):  # There are as many of these as chunks.
            scheduler = self._gathering.scheduler if self._gathering else None
            is_of_use = scheduler is not None and scheduler.heard(event.node, event.have, now)
            return self._go_on(now) if is_of_use else []
        return self._take_in(event, now) + self._go_on(now)

    def deadline(self, now: float) -> float | None:
        """Return when to send `TimePassed` if nothing happens before; it lies after `now`."""
        if self._waits_for_the_shell():
            return None
        due = self._gathering.scheduler.deadline(now) if self._gathering else None
        return due if self._chores_at <= now else min(self._chores_at, due or self._chores_at)

    def _waits_for_the_shell(self) -> bool:
        """Say whether nothing can be done before the tracker or the disk has answered."""
        if self.phase is Phase.FETCHING or self.phase is Phase.MANIFEST:
            return False
        return self.phase is not Phase.LOOKING or self._lookup.is_out

    def _take_in(self, event: Event, now: float) -> list[Action]:
        match event:
            case steps.ChunkReceived() | steps.NothingReceived() | steps.RequestRefused():
                return self._reply_came(event, now)
            case steps.TimePassed() | steps.ReportNoted():
                return []
            case steps.HolderConnected() | steps.BytesCame():
                self._circle.noticed(event, now)
                return []
            case _:
                self._chores_at = now  # The tracker, the disk or a holder: look at everything.
                return self._take_in_rarity(event, now)

    def _take_in_rarity(self, event: Event, now: float) -> list[Action]:
        """Take in what does not happen for each chunk."""
        match event:
            case steps.HolderLost(node, reason, lied) if self.roster.is_connected(node):
                return self._part_with(node, Trouble(reason, lied=lied), now)
            case steps.HoldersFound() | steps.NotFound() | steps.TrackerLost():
                actions = self._tracker_answered(event, now) + self._circle.choose(now)
                self._lookup.answered(now, is_alone=self.roster.is_alone)
                return actions
            case steps.ManifestReceived():
                return self._manifest_came(event, now)
            case steps.DiskAnswered():
                return self._disk_answered(event, now)
            case _:
                return []

    def _tracker_answered(self, event: TrackerAnswer, now: float) -> list[Action]:
        match event:
            case steps.HoldersFound(answer):
                return self._found(answer, now)
            case _ if self.phase is not Phase.LOOKING:
                pass  # Those who are known still deliver.
            case steps.NotFound():
                return self._fail(verdict.no_such_file(self.what))
            case steps.TrackerLost(reason):  # pragma: no branch
                return self._fail(steps.Fail(ExitCode.TRACKER_UNREACHABLE, reason))
        return []

    def _found(self, answer: Holders, now: float) -> list[Action]:
        is_first = self.phase is Phase.LOOKING
        if not self._is_about_it(answer):
            if self._has_moved_on(answer):
                return self._fail(verdict.moved_on(self.name))
            return self._fail(verdict.another_answer(self.what)) if is_first else []
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

    def _is_about_it(self, answer: Holders) -> bool:
        """Say whether an answer is about what is fetched: once an id is known, about that alone."""
        if self.id is not None:
            return answer.id == self.id
        return answer.name == self.name

    def _has_moved_on(self, answer: Holders) -> bool:
        """Say whether the newest version, which was meant, is another one by now that others have.

        Only while nobody delivers this one.
        """
        is_another = answer.name == self.name and answer.id is not None and answer.id != self.id
        is_newer = answer.version > self._version or not self._version
        return self._may_move_on and is_another and is_newer and bool(answer.holders)

    @property
    def _may_move_on(self) -> bool:
        """Say whether another version would do: nobody delivers this one, which was the newest."""
        return self._follows and (self.roster.is_alone or self.roster.is_hoping)

    def _manifest_came(self, event: steps.ManifestReceived, now: float) -> list[Action]:
        if not self._inquiry.is_out(event.node, event.request_id):
            self.tally.late_replies += 1
            return []
        manifest = manifest_in(event.data, self.id)
        if isinstance(manifest, str):
            return self._part_with(event.node, Trouble(manifest, lied=True), now)
        self.manifest, self.id = manifest, id_of(event.data)
        self.phase = Phase.OPENING
        self._inquiry.forget_all()
        self._opening = steps.OpenStaging(self.name, self.id, manifest)
        return [self._opening]

    def _disk_answered(self, event: steps.DiskAnswered, now: float) -> list[Action]:
        match event:
            case steps.StagingOpened():
                return self._begin(event, now)
            case steps.ListingRefused(reason):
                return self._fail(verdict.bad_listing(self.name, reason))
            case steps.DiskFailed(reason):
                return self._fail(steps.Fail(ExitCode.DISK, reason))
            case steps.Published(path):
                self.phase = Phase.OVER
                return [steps.Finish(path)]
            case _:  # pragma: no cover
                raise AssertionError(event)

    def _begin(self, room: steps.StagingOpened, now: float) -> list[Action]:
        assert self._opening is not None
        self.phase = Phase.FETCHING
        parts = self._rng, self._settings, self.tally, self._circle.evidence
        self._gathering = Gathering(self._opening, room, *parts)
        self.tally.begin(self._opening.manifest.chunk_size, room)
        self._patience.succeeded(now)
        self._circle.begin(self._gathering.scheduler, now)
        return []

    def _reply_came(self, reply: Reply, now: float) -> list[Action]:
        if self._inquiry.is_out(reply.node, reply.request_id):
            if isinstance(reply, steps.RequestRefused) and reply.code == WireCode.BUSY:
                self._inquiry.is_busy(reply.node, now)
                self._chores_at = now
                return []
            reason = reply.reason if isinstance(reply, steps.RequestRefused) else "no manifest"
            return self._part_with(reply.node, refusal(display(reason)), now)
        if self._gathering is None:
            self.tally.late_replies += 1
            return []
        outcome = self._gathering.take_in(reply, now)
        if isinstance(outcome, Trouble):
            return self._part_with(reply.node, outcome, now)
        if outcome and isinstance(outcome[0], steps.ReportChunk):
            self._chores_at = now  # Nobody else may have that chunk.
            return outcome + self._circle.sent_wrong(reply.node, now)
        if outcome:  # A chunk that was missing.
            if self.roster.proved_good(reply.node):
                self._chores_at = now
            self._patience.succeeded(now)
        return outcome

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
        """Do what is not done for each chunk: see to the tracker and to lost holders."""
        is_known = self.phase is not Phase.LOOKING
        what = self.id or self.name if is_known else self.what
        partial = is_known or self._settings.shares_already
        if is_known and self._asks_by_name and self._may_move_on:
            what = self.name
        actions: list[Action] = list(self._lookup.queries(what, now, partial=partial))
        self._asks_by_name ^= bool(actions)
        if self._waits_for_the_shell():
            return actions
        actions += self._circle.choose(now)
        if self.phase is Phase.MANIFEST:
            actions += self._lose_silent(self._inquiry.silent(now), now)
            actions += self._circle.manifest_requests(self.id or self.name, now)
        actions += self._give_up(now)
        lookup, roster = self._lookup.deadline, self.roster.deadline(now)
        times = (lookup, roster, self._inquiry.deadline(now), self._patience.deadline)
        self._chores_at = min((time for time in times if time is not None), default=now + 1.0)
        return actions

    def _give_up(self, now: float) -> list[Action]:
        roster = self.roster
        self._patience.look(now, is_alone=roster.is_alone, is_hoping=roster.is_hoping)
        if not roster.is_hopeless and not self._patience.is_over(now):
            return []
        return self._fail(verdict.nobody_delivers(self.name, roster, self._offline))

    def _lose_silent(self, nodes: list[str], now: float) -> list[Action]:
        return [action for node in nodes for action in self._part_with(node, SILENT, now)]

    def _part_with(self, node: str, trouble: Trouble, now: float) -> list[Action]:
        self._chores_at = now
        self.tally.lost_holders += not trouble.lied
        return [self._circle.part_with(node, trouble, now)]

    def _fail(self, fail: steps.Fail) -> list[Action]:
        self.phase = Phase.OVER
        return [fail]

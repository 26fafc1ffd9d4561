"""Carries out one download: real sockets, clock and disk around the machine in node.fetching."""

import logging
import random
import time
from collections.abc import Callable

import msgspec
import zmq
from shoal.node.fetching import report, steps
from shoal.node.fetching.download import Download
from shoal.node.fetching.drive import drive
from shoal.node.fetching.inflow import Inflow
from shoal.node.fetching.settings import FetchSettings
from shoal.node.fetching.versions import Meant
from shoal.node.network.attention import Attention
from shoal.node.network.link import Link
from shoal.node.network.links import Links
from shoal.node.network.stop import Stop
from shoal.node.network.totals import Totals
from shoal.node.scheduling.budgets import Budget
from shoal.node.staging.intake import Intake
from shoal.protocol.control import Fetched, Working
from shoal.protocol.errors import NotAllowedError, TrackerError, WireCode
from shoal.protocol.keyring import Keyring, knows, towards_node, towards_tracker
from shoal.protocol.manifest import MAX_MANIFEST_BYTES
from shoal.protocol.messages import ChunkRequest, Error, Holders, ManifestRequest, Query, WrongChunk
from shoal.protocol.names import display, quoted
from shoal.protocol.trackers import Trackers
from shoal.wire.host_names import HOST_NAMES
from shoal.wire.tracker_client import TrackerClient

log = logging.getLogger("shoal.node")

DRAIN = 32  # Messages taken from one holder before it is another one's turn.
PROGRESS_S = 0.5  # A report costs the node 0.3 ms; five a second were 2 % of a swarm's CPU time.
NOTICED_S = 1.0  # How often to see who is in the middle of a reply; matters on slow links.
REACH_S = 0.02  # How often to see whether a holder's host name is known by now.
BOUND_S = 0.1  # How often to see whether TCP's windows can be bound by now.


class Surroundings(msgspec.Struct, frozen=True):
    """What a fetch needs of its node."""

    context: "zmq.Context[zmq.Socket[bytes]]"
    node: str
    trackers: Trackers
    settings: FetchSettings = FetchSettings()
    listed: dict[str, str] = {}  # The addresses of the nodes in the cluster file, by name.
    ring: Keyring | None = None
    token: Callable[[], str] = str  # What shows the tracker that it is this node; empty: nothing.
    totals: Totals = msgspec.field(default_factory=Totals)  # Where what it receives is counted.
    budget: Budget | None = None  # How much may be requested in which time.
    attention: Attention = msgspec.field(default_factory=Attention)  # What readers wait for.
    on_demand: bool = False  # Nothing but that is to come, until somebody wants all.


class Fetcher:
    """One fetch, which `run` carries out."""

    def __init__(
        self,
        meant: Meant,
        intake: Intake,
        surroundings: Surroundings,
        stop: Stop,
        on_progress: Callable[[Working], None],
    ) -> None:
        """Fetch what is `meant`, and nothing else, into `intake`, which is closed at the end."""
        rng = random.Random()  # noqa: S311 (request ids, order of chunks)
        self._with = surroundings
        self._on_progress = on_progress
        self._meant = meant
        node = surroundings.node
        trackers = tuple(map(HOST_NAMES.best, surroundings.trackers.addresses))
        settings, listed = surroundings.settings, surroundings.listed
        self._download = Download(meant, node, trackers, rng, settings, listed)
        self._download.roster.knows = self._knows
        if surroundings.budget is not None:
            self._download.budget = surroundings.budget
        self._keyless: set[str] = set()
        self._stop = stop
        self._path: str | None = None
        self._intake = intake
        self._inflow = Inflow()
        self._link_rate: float | None = None
        self._notice_at = 0.0
        self._download.urged = self._urged = self._readers_urge()

    def run(self) -> Fetched:
        """Fetch; returns when the thing is in place.

        Raises:
            OperatorError: it could not be fetched, or was stopped.
        """
        started, worked_s = time.monotonic(), time.thread_time()
        towards = towards_tracker(self._with.ring)
        tracker = TrackerClient(self._with.context, self._with.trackers, towards=towards)
        self._links = Links(self._stop.wake, tracker.socket)
        try:
            listening = self._with.attention.listening(self._stop.wake)
            with listening, self._with.totals.counting(self._download.tally):
                self._loop(tracker)
            self._link_rate = self._links.rate()
        finally:
            self._links.close()
            tracker.close()
            self._intake.close()
        measured = report.Measured(
            elapsed_s=time.monotonic() - started,
            best_rate=self._inflow.best_rate,
            working_s=time.thread_time() - worked_s,
            disk_s=self._intake.writing_s,
            link_rate=self._link_rate,
            limit_rate=self._download.budget.rate,
        )
        assert self._path is not None
        return report.fetched(self._download, self._with.node, self._path, measured)

    def _loop(self, tracker: TrackerClient) -> None:
        next_progress = next_look = 0.0
        self._feed(self._first_event(), tracker)
        while self._path is None:
            self._stop.check()
            now = time.monotonic()
            due = self._due(tracker, now)
            ready = self._links.wait(due - now)
            self._hear_tracker(tracker)
            for link in ready:
                self._hear(link, tracker)
            self._look_after_links(tracker)
            self._look_at_readers(tracker)
            now = time.monotonic()
            if now >= next_look:
                next_look = now + BOUND_S
                self._look_at_connections(tracker, now)
            if now >= due:
                self._feed(steps.TimePassed(), tracker)
            if now >= next_progress or self._path is not None:
                next_progress = now + PROGRESS_S
                self._on_progress(self._progress())

    def _first_event(self) -> steps.Event:
        """Return what begins the fetch: the answer that said what is meant, if it can be used.

        If the tracker lists us as a holder, we have to ask: that tells it that we are none.
        """
        answer = self._meant.answer
        if answer is None or answer.listed:
            return steps.TimePassed()
        return steps.HoldersFound(answer)

    def _knows(self, node: str) -> bool:
        """Say whether a holder can be asked; a tracker cannot introduce any."""
        if knows(self._with.ring, node):
            return True
        if node not in self._keyless:
            self._keyless.add(node)
            log.warning("not asking %s: the cluster file here has no key of it", display(node))
        return False

    def _hear_tracker(self, tracker: TrackerClient) -> None:
        try:
            reply = tracker.receive(time.monotonic())
        except (TrackerError, NotAllowedError) as error:
            is_refusal = isinstance(error, NotAllowedError)
            self._feed(steps.TrackerLost(str(error), is_refusal), tracker)
            return
        match reply:
            case None:
                return
            case Holders():
                self._feed(steps.HoldersFound(reply), tracker)
            case Error(code=WireCode.NOT_FOUND):
                self._feed(steps.NotFound(), tracker)
            case Error(code=code, message=message):
                reason, is_refusal = "the tracker refused: ", code is WireCode.NOT_ALLOWED
                self._feed(steps.TrackerLost(reason + quoted(message), is_refusal), tracker)
            case _:
                self._feed(steps.TrackerLost("the tracker answered something else"), tracker)

    def _hear(self, link: Link, tracker: TrackerClient) -> None:
        for _ in range(DRAIN):
            if link not in self._links:
                return
            event = link.receive()
            if event is None:
                self._links.is_empty(link)
                return
            self._feed(event, tracker)
        if link in self._links:
            self._links.touch(link)

    def _look_after_links(self, tracker: TrackerClient) -> None:
        for lost in self._links.reach():
            self._feed(lost, tracker)
        for link in self._links.changed():
            # The last event may have made us drop this one.
            trouble = link.trouble() if link in self._links else None
            if trouble is not None:
                self._feed(trouble, tracker)
            elif link in self._links and (greeting := link.greeting()) is not None:
                self._feed(greeting, tracker)

    def _look_at_readers(self, tracker: TrackerClient) -> None:
        """Have what they wait for come first."""
        urged = self._readers_urge()
        if urged != self._urged:
            self._urged = urged
            self._feed(urged, tracker)

    def _readers_urge(self) -> steps.ChunksUrged:
        on_demand = self._with.on_demand
        return self._with.attention.of(self._download.id, on_demand=on_demand)

    def _look_at_connections(self, tracker: TrackerClient, now: float) -> None:
        """Bound TCP's windows where that is possible by now; see whose replies are coming in."""
        self._links.bound(self._inflow)
        for lost in self._links.excesses():
            self._feed(lost, tracker)
        if now >= self._notice_at:
            self._notice_at = now + NOTICED_S
            for node in self._links.sending():
                self._feed(steps.BytesCame(node), tracker)

    def _feed(self, event: steps.Event, tracker: TrackerClient) -> None:
        """Give the machine an event and carry out its actions; their events are fed in turn."""
        drive(
            lambda event: self._download.handle(event, time.monotonic()),
            lambda action: self._carry_out(action, tracker),
            event,
        )

    def _carry_out(  # noqa: C901, PLR0912 (one table of all actions)
        self, action: steps.Action, tracker: TrackerClient
    ) -> steps.Event | None:
        match action:
            case steps.RequestChunk(node, request_id):
                request, size_bytes = self._request(action)
                self._links.touched(node).send(request_id, request, size_bytes)
            case steps.StoreChunk():
                return self._store(action)
            case steps.RequestManifest(node, request_id, what, may_wait):
                question = ManifestRequest(what, may_wait)
                self._links.touched(node).send(request_id, question, MAX_MANIFEST_BYTES)
            case steps.ReportChunk(node, request_id, content_id, index):
                log.info("%s sent wrong bytes of chunk %d", node, index + 1)
                wrong = WrongChunk(content_id, index, self._with.node)
                self._links.touched(node).report(request_id, wrong)
            case steps.QueryTracker(what, partial):
                self._ask(tracker, Query(what, self._with.node, partial, token=self._with.token()))
            case steps.Connect(node, address):
                towards = towards_node(self._with.ring, node)
                self._links.add(Link(self._with.context, node, address, towards))
            case steps.Disconnect(node, reason):
                self._links.remove(node)
                if reason:
                    log.info("%s: dropped %s: it %s", display(self._download.name), node, reason)
            case steps.OpenStaging():
                return self._intake.open(action)
            case steps.LayOut():
                return self._intake.lay_out()
            case steps.Publish():
                return self._intake.publish()
            case steps.Finish(path):
                self._path = path
            case steps.Fail(kind, message, brief):
                raise kind(message, brief=brief)
        return None

    def _ask(self, tracker: TrackerClient, query: Query) -> None:
        if tracker.is_over:
            self._links.renew(tracker, towards_tracker(self._with.ring))
        tracker.send(query, time.monotonic())

    def _request(self, action: steps.RequestChunk) -> tuple[ChunkRequest, int]:
        """Return a request for a chunk, and how large that is."""
        index, have, patience_ms = action.index, action.have, action.patience_ms
        request = ChunkRequest(action.id, index, self._with.node, have, patience_ms)
        assert self._download.manifest is not None
        return request, self._download.manifest.chunk_size(index)

    def _store(self, action: steps.StoreChunk) -> steps.Event | None:
        payload = self._links[action.node].take(action.request_id)
        self._inflow.arrived(len(payload), time.monotonic())
        return self._intake.store(action.index, payload)

    def _due(self, tracker: TrackerClient, now: float) -> float:
        """Return when to look at the clock again if nothing comes in."""
        due = now + (BOUND_S if len(self._links) else 1.0)
        if self._links.are_unreached:
            due = now + REACH_S
        ours, tracker_s = self._download.deadline(now), tracker.deadline
        if ours is not None and ours < due:
            due = ours
        return due if tracker_s is None else min(due, tracker_s)

    def _progress(self) -> Working:
        download = self._download
        size_bytes = download.tally.needed_bytes if download.manifest else None
        return Working(download.name, download.tally.have_bytes, size_bytes, len(self._links))

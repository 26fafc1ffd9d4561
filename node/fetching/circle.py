"""Those whom a download asks, known alike to all its parts. Does nothing itself."""

from typing import TYPE_CHECKING

from shoal.node.fetching.evidence import Evidence
from shoal.node.fetching.inquiry import Inquiry
from shoal.node.fetching.roster import Roster, Trouble
from shoal.node.fetching.steps import (
    Action,
    BytesCame,
    Disconnect,
    HolderConnected,
    RequestManifest,
)
from shoal.node.scheduling.settings import FetchSettings

if TYPE_CHECKING:
    from random import Random

    from shoal.node.scheduling.scheduler import Scheduler


class Circle:
    """The roster says who is asked; the inquiry asks them first, and then the scheduler does."""

    def __init__(
        self, node: str, tracker_address: str, rng: "Random", settings: FetchSettings
    ) -> None:
        self.evidence = Evidence(settings)
        self.roster = Roster(node, tracker_address, settings, self.evidence)
        self.inquiry = Inquiry(rng, settings)
        self._round_trips_s: dict[str, float] = {}  # To each that we have a connection to.
        self._scheduler: Scheduler | None = None

    def begin(self, scheduler: "Scheduler", now: float) -> None:
        """Have them asked for chunks from now on."""
        self._scheduler = scheduler
        for node in self.roster.connected:
            self._tell(scheduler, node, now)

    def choose(self, now: float) -> list[Action]:
        """Return what is to be done to ask the nearest of those who are known, and no others."""
        if self._scheduler is not None:
            self.roster.miss(self._scheduler.wanted.missing)
        changes = self.roster.choose(now)
        for change in changes:
            if isinstance(change, Disconnect):
                self._ask_no_more(change.node, now)
            elif self._scheduler is not None:
                self._tell(self._scheduler, change.node, now)
        return list(changes)

    def noticed(self, event: HolderConnected | BytesCame, now: float) -> None:
        """Note how far away a holder is, or that bytes of it come in."""
        if isinstance(event, HolderConnected):
            self._round_trips_s[event.node] = event.round_trip_s
            if self._scheduler is not None:
                self._scheduler.met(event.node, event.round_trip_s)
        elif self._scheduler is not None:
            self._scheduler.is_sending(event.node, now)
        else:
            self.inquiry.is_sending(event.node, now)

    def part_with(self, node: str, trouble: Trouble, now: float) -> Disconnect:
        self.roster.part_with(node, trouble, now)
        self._ask_no_more(node, now)
        return Disconnect(node, trouble.reason)

    def sent_wrong(self, node: str, now: float) -> list[Action]:
        """Return what is to be done about a holder that sent a wrong chunk."""
        if not self.evidence.is_liar(node):
            return []
        return [self.part_with(node, Trouble(self.evidence.phrase(node), lied=True), now)]

    def manifest_requests(self, what: str, now: float) -> list[RequestManifest]:
        """Return the request for the manifest of `what` to send now, if any; it counts as sent."""
        roster = self.roster
        give_up_s = {node: roster.give_up_s(node) for node in roster.connected}
        return self.inquiry.requests(give_up_s, what, now)

    def _tell(self, scheduler: "Scheduler", node: str, now: float) -> None:
        complete, far = self.roster.is_complete(node), self.roster.distance(node)
        give_up_s = self.roster.give_up_s(node)
        wrong = self.evidence.wrong(node)
        scheduler.add(node, now, complete=complete, give_up_s=give_up_s, far=far, wrong=wrong)
        if node in self._round_trips_s:
            scheduler.met(node, self._round_trips_s[node])

    def _ask_no_more(self, node: str, now: float) -> None:
        self.inquiry.forget(node)
        self._round_trips_s.pop(node, None)
        if self._scheduler is not None:
            self._scheduler.drop(node, now)

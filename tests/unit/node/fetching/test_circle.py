"""Who is asked is the same for the roster, the inquiry and the scheduler."""

from shoal.node.fetching.circle import Circle
from shoal.node.fetching.roster import Trouble
from shoal.node.fetching.steps import BytesCame, HolderConnected
from shoal.node.scheduling.scheduler import Scheduler
from shoal.node.scheduling.settings import FetchSettings

from tests.unit.node.fetching.test_roster import TRACKER, holders
from tests.unit.node.things import rng, thing

SETTINGS = FetchSettings(most_wholes=2, most_holders=2)
LOST = Trouble("closed the connection")


class Scene:
    """One who knows holders, of whom n1 is the nearest, then n2, n3 and n4."""

    def __init__(self, named: str) -> None:
        self.circle = Circle("me-4", TRACKER, rng(), SETTINGS)
        self.learn(named)

    def learn(self, named: str) -> None:
        self.circle.roster.learn(holders(named))
        self.circle.choose(0)

    def begin(self) -> Scheduler:
        scheduler = Scheduler(thing([10] * 8), 0, 0xFF, rng(), SETTINGS)
        self.circle.begin(scheduler, 0)
        return scheduler


def asked(scheduler: Scheduler) -> set[str]:
    return {request.node for request in scheduler.next_requests(0)}


def test_all_who_are_asked_are_asked_for_chunks() -> None:
    assert asked(Scene("n1 n2").begin()) == {"n1", "n2"}


def test_those_who_are_far_are_asked_for_nothing_any_more() -> None:
    scene = Scene("n2 n3")
    (request,) = scene.circle.manifest_requests("a.bin", 0)
    scheduler = scene.begin()
    scene.learn("n1 n4")
    assert asked(scheduler) == {"n1", "n2"}
    scene.learn("n1")
    assert not scene.circle.inquiry.is_out("n3", request.request_id)


def test_one_that_was_left_is_asked_for_nothing_any_more() -> None:
    scene = Scene("n1 n2 n3")
    scheduler = scene.begin()
    disconnect = scene.circle.part_with("n1", LOST, 0)
    assert (disconnect.node, disconnect.reason) == ("n1", "closed the connection")
    scene.circle.choose(0)
    assert asked(scheduler) == {"n2", "n3"}


def test_how_far_away_one_is_reaches_the_scheduler_whenever_that_begins() -> None:
    """A far one may have several chunks on their way from the start."""
    scene = Scene("n1")
    scene.circle.noticed(HolderConnected("n1", 0.2), 0)
    assert requests_to("n1", scene.begin()) > 1
    later = Scene("n1")
    scheduler = later.begin()
    assert requests_to("n1", scheduler) == 1
    later.circle.noticed(HolderConnected("n1", 0.01), 0)
    assert requests_to("n1", scheduler) == 1
    later.circle.noticed(HolderConnected("n1", 0.2), 0)
    assert requests_to("n1", scheduler) > 1


def requests_to(node: str, scheduler: Scheduler) -> int:
    """Return how many are out once all has been asked for that may be."""
    scheduler.next_requests(0)
    return sum(request.node == node for request in scheduler.out)


def test_one_whose_bytes_trickle_in_is_not_silent() -> None:
    scene = Scene("n1")
    scene.circle.manifest_requests("a.bin", 0)
    scene.circle.noticed(BytesCame("n1"), 50)
    assert scene.circle.inquiry.silent(100) == []
    scheduler = scene.begin()
    scheduler.next_requests(0)
    scene.circle.noticed(BytesCame("n1"), 50)
    assert scheduler.silent(100) == []
    assert scheduler.silent(110) == ["n1"]

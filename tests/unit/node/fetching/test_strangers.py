"""Strangers among the holders: our own cluster file says who is none."""

import random

from shoal.node.fetching import steps, versions
from shoal.node.fetching.download import Download
from shoal.node.fetching.manifest_requests import ManifestRequests
from shoal.node.fetching.roster import Roster
from shoal.node.fetching.settings import FetchSettings

from tests.unit.node.fetching.scene import Scene
from tests.unit.node.fetching.test_roster import TRACKER, holder, holders, retried
from tests.unit.node.things import rng

LISTED = {
    "n1": "tcp://10.0.1.49:11000",
    "n2": "tcp://beta:11000",  # A tracker says which number that is.
    "n3": "tcp://10.9.9.9:11000",  # The tracker says that it is elsewhere.
}
STRANGERS = " ".join(f"x{letter}" for letter in "abcdefghi")


def a_roster(named: str, settings: FetchSettings | None = None) -> Roster:
    roster = Roster("me", (TRACKER,), settings or FetchSettings(), LISTED)
    roster.learn(holders(named))
    return roster


def test_those_of_our_cluster_file_are_connected_to_first() -> None:
    few = FetchSettings(most_wholes=2, most_holders=4)
    roster = a_roster(f"{STRANGERS} n3 n2 n1", few)
    assert retried(roster, 0) == "n1 n2"


def test_the_order_is_who_is_there_and_then_who_is_known() -> None:
    roster = a_roster("n1 n2 n3 xa")
    roster.choose(0)
    known, stranger = (False, False), (False, True)
    assert roster.order() == {"n1": known, "n2": known, "n3": stranger, "xa": stranger}
    roster.met("n1", 0.001)
    roster.met("xa", 0.001)
    away = {"n2": (True, False), "n3": (True, True)}
    assert roster.order() == {"n1": known, "xa": stranger} | away
    roster.answered("xa")
    assert roster.order()["xa"] == known


def test_a_stranger_does_not_take_the_place_of_the_node_whose_address_it_says() -> None:
    roster = a_roster(f"x1@{LISTED['n1']}")
    assert retried(roster, 0) == ""
    roster.learn(holders("n1"))
    assert retried(roster, 0) == "n1"


def test_without_a_cluster_file_nobody_is_a_stranger() -> None:
    roster = Roster("me", (TRACKER,), FetchSettings())
    roster.learn((holder("x1"),))
    roster.choose(0)
    assert roster.order() == {"x1": (False, False)}


def test_the_manifest_is_asked_of_those_that_are_known() -> None:
    scene = Scene()
    scene.download = Download(
        versions.find("a.bin", lambda *_: None), "me-4", (TRACKER,), rng(), None, LISTED
    )
    scene.wait()
    assert scene.found(f"{STRANGERS} n1").endswith("n1:manifest")
    scene.feed(steps.HolderConnected("n1", 0.001))
    scene.send_manifest("n1")
    scene.feed(steps.StagingOpened(0, 0b1111))
    assert scene.request("n1").index in range(4)


def asked_until(order: dict[str, tuple[bool, bool]], wanted: str, *, sends: str = "") -> float:
    """Return after how long `wanted` is asked for the manifest, while nobody answers."""
    requests, now = ManifestRequests(random.Random(7)), 0.0
    give_up_s = dict.fromkeys(order, 60.0)
    while True:
        for request in requests.next(give_up_s, "a", now, order):
            if request.node == wanted:
                return now
        if sends:
            requests.is_sending(sends, now)
        now = requests.deadline(now) or now + 0.01


def test_of_fifty_strangers_the_last_is_asked_within_three_seconds() -> None:
    order = {f"x{number}": (False, True) for number in range(50)}
    assert max(asked_until(order, node) for node in order) < 3


def test_while_one_sends_the_others_are_asked_less_and_less_often() -> None:
    order = {f"x{number}": (False, True) for number in range(50)}
    first = next(node for node in order if asked_until(order, node) == 0)
    assert max(asked_until(order, node, sends=first) for node in order) > 60


def test_one_that_is_known_is_asked_before_all_strangers() -> None:
    order = {f"x{number}": (False, True) for number in range(50)}
    assert asked_until(order | {"n1": (False, False)}, "n1") == 0
    assert asked_until(order | {"n1": (True, False)}, "n1") > 1  # Its connection is not up.

"""What nodes say of themselves, and when it is believed."""

import pytest
from shoal.broker.tracking.changes import (
    Disowned,
    Dropped,
    Forgotten,
    Gone,
    Held,
    Published,
    Seen,
    Withdrawn,
)
from shoal.broker.tracking.settings import TrackerSettings

from tests.unit.broker.scene import Scene, address_of, content_id

ELSEWHERE = "tcp://127.0.0.1:11999"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_an_update_adds_to_what_was_announced(scene: Scene) -> None:
    assert scene.update("n1", "a=1") == "ok 1"
    assert scene.update("n1", "b=2 c=3~") == "ok 3"
    assert scene.files() == "a=1: n1\nb=2: n1\nc=3: n1~"


def test_replace_leaves_nothing_else(scene: Scene) -> None:
    scene.update("n1", "a=1 b=2 c=3")
    scene.told()
    assert scene.update("n1", "b=2 d=4", replace=True) == "ok 2"
    assert scene.files() == "b=2: n1\nd=4: n1"
    assert scene.told() == [
        "n1 no longer holds a",
        "n1 no longer holds c",
        "n1 holds d",
    ]


def test_withdrawing_takes_the_node_off(scene: Scene) -> None:
    scene.update("n1", "a=1 b=2")
    scene.update("n2", "a=1")
    assert scene.update("n1", without="a=1 a=1 a=7 nosuch=1") == "ok 1"
    assert scene.files() == "a=1: n2\nb=2: n1"


def test_a_new_version_takes_the_place_of_the_old_in_one_update(scene: Scene) -> None:
    scene.update("n1", "a=1")
    assert scene.update("n1", "a=2", without="a=1") == "ok 1"
    assert scene.ask("a") == "=2 n1"


def test_a_thing_announced_and_withdrawn_in_one_update_is_held(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.told()
    assert scene.update("n1", "a=1", without="a=1") == "ok 1"
    assert scene.told() == []


def test_a_partial_holder_becomes_whole_and_may_become_partial_again(scene: Scene) -> None:
    scene.update("n1", "a=1~")
    assert scene.update("n1", "a=1") == "ok 1"
    assert scene.ask("a") == "=1 n1"
    assert scene.update("n1", "a=1~") == "ok 1"
    assert scene.ask("a") == "=1 n1~"
    lines = [line for line in scene.told() if "holds" in line]
    assert lines == ["n1 holds part of a", "n1 holds a", "n1 holds part of a"]


def test_a_lost_reply_and_its_retry_change_nothing(scene: Scene) -> None:
    assert scene.update("n1", "a=1", sequence=5) == "ok 1"
    scene.update("n1", "b=2", sequence=6)
    scene.told()
    scene.wait(29)
    assert scene.update("n1", "b=2", sequence=6) == "ok 2"
    scene.wait(29)
    assert scene.ask("b") == "=2 n1"  # The retry was a sign of life.
    assert scene.told() == ["someone asked for b: sent to n1"]


def test_a_retry_takes_a_node_back_that_fell_silent(scene: Scene) -> None:
    scene.update("n1", "a=1", sequence=5)
    scene.wait(40)
    assert scene.update("n1", "a=1", sequence=5) == "ok 1"
    assert scene.told()[-2:] == ["n1 went silent", "n1 joined at tcp://127.0.0.1:11001"]
    assert scene.ask("a") == "=1 n1"


def test_an_older_update_changes_nothing(scene: Scene) -> None:
    scene.update("n1", "a=1", sequence=5)
    scene.update("n1", without="a=1", sequence=6)
    scene.wait(29)
    assert scene.update("n1", "a=1", sequence=5) == "ok 0"
    assert scene.ask("a").startswith("NOT_FOUND")
    scene.wait(1)
    scene.expire()
    assert scene.told()[-1] == "n1 went silent"  # Nor was it a sign of life.


def test_an_old_update_does_not_bring_back_a_node_that_left(scene: Scene) -> None:
    scene.update("n1", "a=1", sequence=5)
    scene.leave("n1")
    assert scene.update("n1", "a=1", sequence=5) == "ok 1"
    assert scene.ask("a") == "=1 silent n1?"


def test_a_second_node_of_the_same_name_is_refused(scene: Scene) -> None:
    scene.update("n4", "a=1")
    refusal = (
        "CONFLICT n4 is already running at tcp://127.0.0.1:11004; stop it, or wait 30 s if it died"
    )
    assert scene.update("n4", "a=1", epoch=2, address=ELSEWHERE) == refusal
    assert scene.told()[-1].startswith("rejected an update from n4: n4 is already running")
    assert scene.ask("a") == "=1 n4"


def test_a_node_may_come_back_elsewhere_after_its_lease(scene: Scene) -> None:
    scene.update("n4", "a=1", epoch=7)
    scene.wait(30)
    assert scene.update("n4", "b=2", epoch=3, address=ELSEWHERE, replace=True) == "ok 1"
    assert scene.files() == "b=2: n4"


def test_a_node_that_left_may_come_back_elsewhere_at_once(scene: Scene) -> None:
    scene.update("n4", "a=1")
    assert scene.leave("n4") == "ok 1"
    assert scene.update("n4", "a=1", epoch=2, address=ELSEWHERE) == "ok 1"
    assert scene.ask("a") == "=1 n4"


def test_a_restarted_node_is_believed_and_its_predecessor_is_not(scene: Scene) -> None:
    scene.update("n1", "a=1", epoch=1, sequence=9)
    assert scene.update("n1", "b=2", epoch=2, sequence=1, replace=True) == "ok 1"
    refusal = "CONFLICT n1 has been restarted since; stop the older process"
    assert scene.update("n1", "a=1", epoch=1, sequence=10) == refusal
    assert scene.renew("n1", epoch=1) == "NOT_FOUND n1 is not known here; announce first"
    assert scene.leave("n1", epoch=1) == "NOT_FOUND n1 is not known here; announce first"
    assert scene.ask("b") == "=2 n1"


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:12000", "tcp://127.0.0.1:22", "tcp://169.254.169.254:8000"],
)
def test_an_address_that_no_node_would_connect_to_is_refused(scene: Scene, address: str) -> None:
    refusal = f"CONFLICT n1 cannot be a holder: other nodes would refuse to connect to {address}"
    assert scene.update("n1", "a=1", address=address).startswith(refusal)
    assert scene.files() == ""


def test_renewing_keeps_a_node_alive(scene: Scene) -> None:
    scene.update("n1", "a=1")
    for _ in range(5):
        scene.wait(10)
        assert scene.renew("n1") == "ok 1"
    assert scene.ask("a") == "=1 n1"


def test_a_renewal_saves_nothing(scene: Scene) -> None:
    scene.update("n1", "a=1")
    before = scene.changes()
    scene.wait(10)
    scene.renew("n1")
    assert scene.changes() == before


def test_a_silent_node_that_renews_is_alive_again(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.wait(300)
    assert scene.ask("a") == "=1 silent n1?"
    assert scene.renew("n1") == "ok 1"
    assert scene.ask("a") == "=1 n1"
    assert "n1 joined at tcp://127.0.0.1:11001" in scene.told()


def test_an_unknown_node_must_announce_before_it_renews(scene: Scene) -> None:
    assert scene.renew("n1") == "NOT_FOUND n1 is not known here; announce first"
    scene.update("n1", "a=1")
    scene.leave("n1")
    assert scene.renew("n1") == "NOT_FOUND n1 is not known here; announce first"


def test_a_node_of_which_the_last_update_was_lost_announces_everything_again(scene: Scene) -> None:
    """The power was lost before the tracker's disk had it; the number of holdings is the same."""
    scene.update("n1", "a=1", sequence=3)
    assert scene.renew("n1", sequence=3) == "ok 1"
    assert scene.renew("n1", sequence=4) == "NOT_FOUND n1 is not known here; announce first"
    assert scene.update("n1", "a=2", sequence=5, replace=True) == "ok 1"
    assert scene.renew("n1", sequence=5) == "ok 1"


def test_a_node_that_leaves_is_remembered_but_not_handed_out(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.told()
    assert scene.leave("n1") == "ok 1"
    assert scene.leave("n1") == "ok 1"
    assert scene.ask("a") == "=1 silent n1?"
    assert scene.told() == ["n1 left", "someone asked for a: all holders are silent (n1)"]


def test_a_stranger_that_leaves_with_nothing_is_forgotten(scene: Scene) -> None:
    scene.update("n4")
    scene.update("n5")
    scene.leave("n4")
    assert scene.nodes() == "n1 silent 0\nn2 silent 0\nn3 silent 0\nn5 alive 0"
    scene.wait(30)
    assert scene.nodes() == "n1 silent 0\nn2 silent 0\nn3 silent 0"
    assert scene.remembered() == "|"


def test_a_stranger_that_left_and_loses_its_last_file_is_forgotten(scene: Scene) -> None:
    scene.update("n4", "a=1")
    scene.leave("n4")
    assert scene.ask("a", "n4").startswith("NOT_FOUND")
    assert scene.remembered() == "a |"  # For as long as a lease: it may be announced again.


def test_updates_beyond_the_limits_are_refused() -> None:
    limits = TrackerSettings(max_nodes=2, max_versions=4, max_holdings=6, max_holdings_per_node=3)
    scene = Scene(settings=limits)
    assert scene.update("n1", "a=1 b=2 c=3") == "ok 3"
    too_much = "TOO_MUCH the tracker takes no more than"
    assert scene.update("n1", "d=4") == f"{too_much} 3 holdings per node"
    assert scene.update("n1", "a=1 b=2 d=4", replace=True) == "ok 3"
    assert scene.update("n2", "e=5 f=6") == f"{too_much} 4 versions"
    assert scene.update("n2", "a=1 b=2 d=4~") == "ok 3"
    assert scene.update("n3") == f"{too_much} 2 nodes"
    assert scene.files() == "a=1: n1 n2\nb=2: n1 n2\nd=4: n1 n2~"


def test_what_takes_the_place_of_something_else_is_within_the_limits() -> None:
    limits = TrackerSettings(max_holdings=4, max_holdings_per_node=2)
    scene = Scene(settings=limits)
    assert scene.update("n1", "a=1 b=2") == "ok 2"
    assert scene.update("n2", "a=1") == "ok 1"
    assert scene.update("n1", "c=3", without="b=2") == "ok 2"
    assert scene.update("n1", "d=4", without="e=5").endswith("2 holdings per node")
    assert scene.update("n2", "b=2") == "ok 2"
    assert scene.update("n2", "a=1 b=2", replace=True) == "ok 2"
    assert scene.update("n3", "a=1").endswith("4 holdings")
    assert scene.update("n2", "c=3 b=2", without="a=1") == "ok 2"
    assert scene.update("n1", "a=1 b=2 c=3", replace=True).endswith("2 holdings per node")


def test_a_restart_keeps_what_was_announced(scene: Scene) -> None:
    scene.update("n1", "a=1 b=2~", sequence=4)
    scene.update("n2", "a=1", epoch=5)
    scene.update("n3", "a=1")
    scene.leave("n3")
    assert scene.files() == "a=1: n1 n2 n3?\nb=2: n1~"
    scene.restart()
    assert scene.files() == "a=1: n1? n2? n3?\nb=2: n1~?"
    assert scene.ask("a") == "=1 n1? n2? silent n3?"
    assert scene.update("n1", "z=9", sequence=3) == "ok 2"  # Old, as before the restart.
    assert scene.renew("n2", epoch=5) == "ok 1"
    scene.wait(29)
    scene.renew("n2", epoch=5)
    scene.wait(1)
    assert scene.ask("a") == "=1 n2 silent n1? n3?"


def test_an_address_is_remembered_as_announced() -> None:
    scene = Scene(nodes=("n1",))
    scene.update("n4", "a=1", address=ELSEWHERE)
    scene.restart()
    assert scene.update("n4", "b=1", epoch=2, address=address_of("n4")).startswith("CONFLICT")


# What is decided.

SEEN = Seen("n1", address_of("n1"), 1, 1)
A1, A2, B1 = ((name, content_id(number)) for name, number in (("a", 1), ("a", 2), ("b", 1)))


def test_decides_as_little_as_can_be_said(scene: Scene) -> None:
    scene.update("n1", "a=1!1 b=1~")
    scene.update("n1", "a=1!1 b=1", sequence=2)
    scene.wait(7)
    scene.update("n1", "a=1:5/n2 a=2", without="b=1", sequence=3)
    assert scene.changes() == [
        SEEN,
        Published(*A1, 10, 1, "n1", is_claim=True),
        Held(*A1, "n1", complete=True),
        Published(*B1, 10),
        Held(*B1, "n1", complete=False),
        Seen("n1", address_of("n1"), 1, 2),
        Held(*B1, "n1", complete=True),
        Seen("n1", address_of("n1"), 1, 3),
        Withdrawn(*B1, "n1"),
        Published(*A1, 10, 5, "n2", age_s=7, is_first_hand=False),
        Published(*A2, 10),
        Held(*A2, "n1", complete=True),
    ]


def test_decides_about_those_that_go(scene: Scene) -> None:
    scene.update("n1", "a=1")
    scene.update("n4")
    before = len(scene.changes())
    scene.leave("n4")
    scene.wait(30)
    scene.renew("n1")
    scene.ask("a", "n1")
    scene.wait(30)
    scene.expire()
    assert scene.changes()[before:] == [
        Gone("n4", left=True),
        Forgotten("n4"),
        Gone("n1", left=False),
        SEEN,
        Withdrawn(*A1, "n1"),
        Gone("n1", left=False),
        Dropped(*A1),
    ]


def test_disowning_is_decided_once() -> None:
    scene = Scene({"net.txt": ("n1", "n2")})
    for _ in range(2):
        scene.ask("net.txt", "n1")
    assert scene.changes() == [Disowned("net.txt", "n1")]

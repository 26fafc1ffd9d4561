"""Which holders a fetch asks, waits for and bans."""

import msgspec
import pytest
from shoal.node.fetching import steps
from shoal.protocol.errors import WireCode

from tests.unit.node.fetching.scene import SETTINGS, Scene


def test_one_that_would_have_us_ask_others_is_not_left() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1")
    assert scene.refuse("n1", WireCode.BUSY) == ""
    assert scene.found("n1 n2~") == "connect n2; n2:manifest"
    assert scene.jump() == "n1:manifest"
    assert scene.send_manifest("n1") == "openstaging"


def test_leaves_far_holders_alone_when_nearer_ones_are_known() -> None:
    scene = Scene(settings=msgspec.structs.replace(SETTINGS, most_holders=2))
    scene.begin("n2~ n3")
    assert scene.found("n1~ n4~") == "leave n2; connect n1; n1:1"
    assert scene.download.tally.lost_holders == 0


def test_asks_more_holders_when_those_it_asks_bring_nothing() -> None:
    scene = Scene(settings=msgspec.structs.replace(SETTINGS, most_holders=1))
    scene.begin("n1~ n2~")
    scene.wait(2.9)
    assert scene.download.roster.connected == ["n1"]
    scene.wait(0.1)
    assert scene.found("n3~").startswith("connect n2")
    assert scene.download.roster.connected == ["n1", "n2"]


def test_far_holders_get_several_requests_at_once_from_the_start() -> None:
    """However early the length of the way is known."""
    near, far = Scene(), Scene()
    for scene, round_trip_s in ((near, 0.01), (far, 0.2)):
        scene.wait()
        scene.found("n1")
        scene.feed(steps.HolderConnected("n1", round_trip_s))
        scene.send_manifest("n1")
        scene.feed(steps.StagingOpened(0, 0b1111))
    assert len(near.asked["n1"]) == 1 < len(far.asked["n1"])
    near.feed(steps.HolderConnected("n1", 0.2))
    near.feed(steps.HolderConnected("n4", 0.2))  # It has been left, or was never asked.
    assert len(near.asked["n1"]) > 1


def test_a_reconnected_holder_s_distance_is_measured_anew() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    scene.feed(steps.HolderConnected("n1", 0.2))
    assert len(scene.asked["n1"]) > 1
    scene.feed(steps.HolderLost("n1", "closed the connection"))
    scene.asked.clear()
    while "connect n1" not in scene.jump():
        pass
    assert len(scene.asked["n1"]) == 1


def test_a_holder_whose_bytes_trickle_in_is_not_silent() -> None:
    scene = Scene()
    scene.wait()
    scene.found("n1")
    for _ in range(3):  # The manifest …
        scene.now += 50
        assert "leave" not in scene.feed(steps.BytesCame("n1"))
    scene.send_manifest("n1")
    scene.feed(steps.StagingOpened(0, 0b1111))
    for _ in range(3):  # … and a chunk.
        scene.now += 50
        assert "leave" not in scene.feed(steps.BytesCame("n1"))
    assert "leave n1" in scene.wait(61)


def test_a_holder_that_was_dropped_owes_no_manifest() -> None:
    scene = Scene(settings=msgspec.structs.replace(SETTINGS, most_wholes=1, most_holders=1))
    scene.wait()
    assert scene.found("n2") == "connect n2; n2:manifest"
    assert scene.found("n1") == "leave n2; connect n1; n1:manifest"
    assert scene.send_manifest("n2") == ""
    assert scene.download.tally.late_replies == 1


# Those that send wrong chunks.


def message(scene: Scene) -> str:
    (fail,) = [action for action in scene.wants if isinstance(action, steps.Fail)]
    return fail.message


def has_nothing(scene: Scene, node: str) -> None:
    scene.feed(steps.NothingReceived(node, scene.request_id(node), b"\0"))


def test_a_wrong_chunk_is_asked_of_others_and_its_holder_for_others() -> None:  # fault 30
    scene = Scene()
    assert scene.begin("n1 n2") == "n1:0; n2:1"
    assert scene.send("n1", wrong=True) == "tell n1 0; n1:3"
    assert scene.send("n1") == "store 3; n1:2"
    assert scene.send("n1") == "store 2"
    assert scene.send("n2") == "store 1; n2:0"
    assert scene.send("n2") == "store 0; publish"
    assert scene.download.tally.wrong_chunks == 1


def test_two_that_rotted_in_different_places_are_enough() -> None:
    scene = Scene()
    assert scene.begin("n1 n2") == "n1:0; n2:1"
    assert scene.send("n1", wrong=True) == "tell n1 0; n1:3"
    assert scene.send("n2", wrong=True) == "tell n2 1; n2:0"
    assert scene.send("n2") == "store 0; n2:2"
    assert scene.send("n1") == "store 3; n1:1"
    assert scene.send("n1") == "store 1"
    assert scene.send("n2") == "store 2; publish"


def test_fails_at_once_when_nobody_else_may_have_a_chunk() -> None:  # fault 44
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.send("n1", wrong=True) == "tell n1 0; n1:3"
    assert scene.send("n2") == "store 1; n2:0; n2:2"
    assert scene.send("n2", wrong=True) == "tell n2 0; fail integrity"
    assert "n1 sent wrong bytes of chunk 1; n2 sent wrong bytes of chunk 1" in message(scene)


def test_who_sends_nothing_right_is_asked_for_one_chunk_at_a_time_and_three_in_all() -> None:
    scene = Scene()
    assert scene.begin("n1 n2~") == "n1:2; n2:0"  # n2 may get all of it.
    has_nothing(scene, "n2")
    assert scene.send("n1", wrong=True) == "tell n1 2; n1:1"
    assert scene.send("n1", wrong=True) == "tell n1 1; n1:0"
    assert scene.send("n1", wrong=True) == "tell n1 0; leave n1"
    assert "n1" not in scene.found("n1 n2~")


def test_who_sends_more_right_than_wrong_is_not_banned() -> None:
    scene = Scene()
    scene.begin("n1 n2~")
    evidence = scene.download.roster.evidence
    for _ in range(3):
        evidence.sent_right("n1")
    for wrong in range(3):
        assert "leave" not in scene.send("n1", wrong=True), wrong


def test_a_lost_connection_forgives_nothing() -> None:
    scene = Scene()
    scene.begin("n1 n2~")
    has_nothing(scene, "n2")
    assert scene.send("n1", wrong=True) == "tell n1 2; n1:1"
    assert scene.send("n1", wrong=True) == "tell n1 1; n1:0"
    assert scene.feed(steps.HolderLost("n1", "closed the connection")) == "leave n1"
    scene.asked["n1"].clear()
    while not scene.asked["n1"]:
        scene.jump()
        if scene.asked["n2"]:
            has_nothing(scene, "n2")
    (request,) = scene.asked["n1"]
    assert isinstance(request, steps.RequestChunk)
    assert request.index == 3
    assert scene.send("n1", wrong=True).startswith("tell n1 3; leave n1")


def test_one_who_may_get_it_is_waited_for() -> None:
    scene = Scene()
    assert scene.begin("n1 n2~", have=0b1110) == "n1:0"
    assert scene.send("n1", wrong=True) == "tell n1 0; n2:0"
    while scene.now < 100 or not scene.asked["n2"]:
        if scene.asked["n2"]:
            has_nothing(scene, "n2")
        assert "fail" not in scene.jump()
    assert scene.send("n2") == "store 0; publish"


def test_one_who_was_lost_is_waited_for_a_while() -> None:
    scene = Scene()
    scene.begin("n1 n2", have=0b1110)
    scene.feed(steps.HolderLost("n2", "closed the connection"))
    assert scene.send("n1", wrong=True).startswith("tell n1 0")
    said = ""
    while "fail" not in said:
        said = scene.jump()
        if "connect n2" in said:
            scene.asked["n2"].clear()
            scene.feed(steps.HolderLost("n2", "cannot be reached"))
    assert "fail integrity" in said
    assert 10 <= scene.now < 60
    assert "n1 sent wrong bytes of chunk 1; n2 cannot be reached" in message(scene)


def test_a_newcomer_is_asked_for_what_others_sent_wrong() -> None:
    scene = Scene()
    scene.begin("n1 n2~", have=0b1110)
    assert scene.send("n1", wrong=True) == "tell n1 0; n2:0"
    has_nothing(scene, "n2")
    assert scene.found("n1 n2~ n3") == "connect n3; n3:0"


@pytest.mark.parametrize("have", [b"", b"\x0f", b"\x01"])
def test_whatever_it_says_it_is_not_asked_again(have: bytes) -> None:
    scene = Scene()
    assert scene.begin("n1 n2", have=0b1100) == "n1:0; n2:1"
    assert scene.send("n1", wrong=True) == "tell n1 0"
    scene.feed(steps.HolderLost("n2", "closed the connection"))  # Now n1 is asked for its chunk …
    scene.feed(steps.NothingReceived("n1", scene.request_id("n1"), have))  # … and has it not.
    scene.asked["n2"].clear()
    scene.asked["n1"].clear()
    while scene.now < 9 and not scene.asked["n2"]:
        scene.jump()
    asked = [one for one in scene.asked["n1"] if isinstance(one, steps.RequestChunk)]
    assert all(one.index == 1 for one in asked)


def test_the_reply_to_a_report_changes_nothing() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    request_id = scene.asked["n1"][0].request_id
    scene.send("n1", wrong=True)
    assert scene.feed(steps.ReportNoted("n1", request_id)) == ""
    assert scene.download.tally.late_replies == 0
    assert scene.feed(steps.RequestRefused("n1", request_id, WireCode.INTERNAL, "late")) == ""

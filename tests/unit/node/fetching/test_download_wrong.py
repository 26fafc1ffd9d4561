"""What becomes of those who send wrong chunks: banned for these, or whole; and of the fetch."""

import pytest
from shoal.node.fetching import steps
from shoal.protocol.errors import WireCode

from tests.unit.node.fetching.test_download import Scene


def message(scene: Scene) -> str:
    (fail,) = [action for action in scene.wants if isinstance(action, steps.Fail)]
    return fail.message


def has_nothing(scene: Scene, node: str) -> None:
    scene.feed(steps.NothingReceived(node, scene.request_id(node), b"\0"))


def test_a_wrong_chunk_is_asked_of_others_and_its_holder_for_others() -> None:  # fault 30
    scene = Scene()
    assert scene.begin("n1 n2") == "n1:0; n2:1"
    assert scene.send("n1", wrong=True) == "tell n1 0; n1:2"
    assert scene.send("n1") == "store 2; n1:3"
    assert scene.send("n1") == "store 3"
    assert scene.send("n2") == "store 1; n2:0"
    assert scene.send("n2") == "store 0; publish"
    assert scene.download.tally.wrong_chunks == 1


def test_two_that_rotted_in_different_places_are_enough() -> None:
    scene = Scene()
    assert scene.begin("n1 n2") == "n1:0; n2:1"
    assert scene.send("n1", wrong=True) == "tell n1 0; n1:2"
    assert scene.send("n2", wrong=True) == "tell n2 1; n2:0"
    assert scene.send("n2") == "store 0; n2:3"
    assert scene.send("n1") == "store 2; n1:1"
    assert scene.send("n1") == "store 1"
    assert scene.send("n2") == "store 3; publish"


def test_fails_at_once_when_nobody_else_may_have_a_chunk() -> None:  # fault 44
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.send("n1", wrong=True) == "tell n1 0; n1:2"
    assert scene.send("n2") == "store 1; n2:0; n2:3"
    assert scene.send("n2", wrong=True) == "tell n2 0; fail INTEGRITY"
    assert "n1 sent wrong bytes of chunk 1; n2 sent wrong bytes of chunk 1" in message(scene)


def test_who_sends_nothing_right_is_asked_for_one_chunk_at_a_time_and_three_in_all() -> None:
    scene = Scene()
    assert scene.begin("n1 n2~") == "n1:2; n2:3"  # n2 may get all of it.
    has_nothing(scene, "n2")
    assert scene.send("n1", wrong=True) == "tell n1 2; n1:1"
    assert scene.send("n1", wrong=True) == "tell n1 1; n1:0"
    assert scene.send("n1", wrong=True) == "tell n1 0; leave n1"
    assert "n1" not in scene.found("n1 n2~")


def test_who_sends_more_right_than_wrong_is_not_banned() -> None:
    scene = Scene()
    scene.begin("n1 n2~")
    evidence = scene.download._circle.evidence
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
    assert request.offered == (0,)
    assert scene.send("n1", wrong=True).startswith("tell n1 0; leave n1")


def test_one_who_may_get_it_is_waited_for() -> None:
    scene = Scene()
    assert scene.begin("n1 n2~", have=0b1110) == "n1:0"
    assert scene.send("n1", wrong=True) == "tell n1 0; n2:0"
    while scene.now < 100:
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
    assert "fail INTEGRITY" in said
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
    scene.feed(steps.PeerHeard("n1", b"\x0f"))
    scene.asked["n2"].clear()
    scene.asked["n1"].clear()
    while scene.now < 9 and not scene.asked["n2"]:
        scene.jump()
    asked = [one for one in scene.asked["n1"] if isinstance(one, steps.RequestChunk)]
    assert all(one.offered == (1,) for one in asked)


def test_the_reply_to_a_report_changes_nothing() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    request_id = scene.asked["n1"][0].request_id
    scene.send("n1", wrong=True)
    assert scene.feed(steps.ReportNoted("n1", request_id)) == ""
    assert scene.download.tally.late_replies == 0
    assert scene.feed(steps.RequestRefused("n1", request_id, WireCode.INTERNAL, "late")) == ""

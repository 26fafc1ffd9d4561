"""Which holders a fetch asks, waits for and bans, and how it judges their replies."""

import msgspec
import pytest
from shoal.node.fetching import steps
from shoal.protocol import bitmap, manifest
from shoal.protocol.bucket import Bucket
from shoal.protocol.errors import WireCode

from tests.unit.node.fetching.scene import ID, SETTINGS, Scene
from tests.unit.node.things import bits, chunk, id_of, lettered, made_of


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


def test_a_chunk_that_was_not_requested_has_come_all_the_same() -> None:
    """So it is paid for: liars do not let a node receive more than its limit."""
    scene = Scene()
    scene.download.budget = Bucket(10)
    assert scene.begin("n1 n2").count(":") == 1
    liar, *_ = [node for node, asked in scene.asked.items() if asked]
    request = scene.request(liar)
    assert scene.send_data(request, request.index ^ 1, chunk(0)) == f"leave {liar}"
    assert scene.wait(0.5) == ""
    assert ":" in scene.wait(0.5)


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


# How replies are judged.


def test_a_request_says_what_is_here_and_for_how_long_it_waits() -> None:
    scene = Scene()
    scene.begin("n1", have=bits("0"))
    request = scene.request("n1")
    assert (request.id, request.index) == (ID, 1)
    assert (request.have, request.patience_ms) == (bitmap.to_bytes(bits("0"), 4), 60_000)


@pytest.mark.parametrize(
    "data",
    [
        b"0123456789",
        chunk(0)[:-1],
        chunk(0) + b"!",
        b"",
        chunk(0, version=2),
        chunk(1),
    ],
)
def test_a_chunk_is_right_byte_for_byte_or_wrong(data: bytes) -> None:
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.send_data(scene.request("n1"), 0, data).startswith("tell n1 0; ")
    tally = scene.download.tally
    assert (tally.wrong_chunks, tally.fetched_bytes) == (1, 0)


def test_a_chunk_that_two_requests_brought_wrong_is_reported_once() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    scene.download.roster.evidence.sent_wrong("n1", 0)
    assert "tell" not in scene.send("n1", wrong=True)
    assert scene.download.tally.wrong_chunks == 1


@pytest.mark.parametrize("index", [1, 999])
def test_a_chunk_that_was_not_requested_is_a_lie(index: int) -> None:
    """Even if these are its right bytes."""
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.send_data(scene.request("n1"), index, chunk(index)).startswith("leave n1")
    assert scene.download.tally.wrong_chunks == 1
    assert "n1" not in scene.found("n1 n2")


def test_a_reply_to_no_request_is_counted_and_dropped() -> None:
    scene = Scene()
    scene.begin("n1")
    request = scene.request("n1")
    made_up = msgspec.structs.replace(request, request_id=request.request_id + 1)
    assert scene.send_data(made_up, 0, chunk(0)) == ""
    assert scene.send_data(request, 0, chunk(0)).startswith("store 0")
    assert scene.send_data(request, 0, chunk(0)) == ""
    tally = scene.download.tally
    assert (tally.late_replies, tally.duplicate_bytes, tally.fetched_bytes) == (2, 20, 10)


def test_replies_may_come_in_any_order() -> None:
    """Fault 39."""
    scene = Scene()
    scene.begin("n1")
    scene.send("n1")
    requests = [scene.request("n1") for _ in range(2)]
    for request in reversed(requests):
        index = request.index
        assert scene.send_data(request, index, chunk(index)).startswith(f"store {index}")
    assert scene.download.tally.late_replies == 0


def test_a_busy_holder_is_asked_again_soon() -> None:
    scene = Scene()
    scene.begin("n1")
    assert scene.refuse("n1", WireCode.BUSY) == ""
    assert scene.jump() == "n1:0"
    assert scene.now == 0.02


def test_a_holder_that_refuses_is_left_for_a_while() -> None:
    scene = Scene()
    scene.begin("n1 n2")
    assert scene.refuse("n1", WireCode.GONE, "no\x07!").startswith("leave n1")
    left = next(one for one in scene.wants if isinstance(one, steps.Disconnect))
    assert left.reason == r"refused: no\x07!"


def test_a_holder_that_has_nothing_is_no_trouble() -> None:
    scene = Scene()
    scene.begin("n1~ n2")
    request_id = scene.request_id("n1")
    for _ in range(2):
        assert "leave" not in scene.feed(steps.NothingReceived("n1", request_id, b"\0"))
    assert scene.download.tally.late_replies == 1


def test_equal_chunks_are_requested_and_counted_as_fetched_once() -> None:
    known, scene = made_of("aab"), Scene()
    scene.wait()
    scene.found("n1", id_of(known))
    scene.send_manifest("n1", manifest.encode(known))
    assert scene.feed(steps.StagingOpened(0, bits("012"))) == "n1:0"
    assert scene.send_data(scene.request("n1"), 0, lettered("a")).startswith("store 0; n1:2")
    tally = scene.download.tally
    assert (tally.fetched_bytes, tally.reused_bytes, tally.have_bytes) == (10, 10, 20)


# Those that send wrong chunks.


def message(scene: Scene) -> str:
    (fail,) = [action for action in scene.wants if isinstance(action, steps.Fail)]
    return fail.message


def has_nothing(scene: Scene, node: str) -> None:
    scene.feed(steps.NothingReceived(node, scene.request_id(node), b"\0"))


def test_a_wrong_chunk_is_asked_of_others_and_its_holder_for_others() -> None:
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


def test_fails_at_once_when_nobody_else_may_have_a_chunk() -> None:
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
